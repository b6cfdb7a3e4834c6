//! GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d). Adding is XOR.

/// For each factor: its products with 0 to 15, and with 16 times these.
pub static PRODUCTS: [[[u8; 16]; 2]; 256] = products();

/// `a · b`.
pub fn mul(a: u8, b: u8) -> u8 {
    let [low, high] = &PRODUCTS[usize::from(a)];
    low[usize::from(b & 15)] ^ high[usize::from(b >> 4)]
}

/// What `a` must be multiplied with to give 1; 0 for 0.
pub fn inverse(a: u8) -> u8 {
    // a^254 = a^(2 + 4 + … + 128): the nonzero elements are a group of 255.
    let mut square = a;
    (0..7).fold(1, |product, _| {
        square = mul(square, square);
        mul(product, square)
    })
}

const fn mul_slowly(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b > 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d };
        b >>= 1;
    }
    product
}

const fn products() -> [[[u8; 16]; 2]; 256] {
    let mut table = [[[0; 16]; 2]; 256];
    let mut factor = 0;
    while factor < 256 {
        let mut n = 0;
        while n < 16 {
            table[factor][0][n] = mul_slowly(factor as u8, n as u8);
            table[factor][1][n] = mul_slowly(factor as u8, (n as u8) << 4);
            n += 1;
        }
        factor += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_that_of_the_library() {
        use reed_solomon_erasure::galois_8;
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(mul(a, b), galois_8::mul(a, b), "{a} · {b}");
            }
            assert_eq!(mul(a, inverse(a)), u8::from(a != 0), "1 / {a}");
        }
    }
}
