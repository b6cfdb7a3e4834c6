//! Where the requests begin in the bytes of an HTTP/1.1 connection (RFC 9112, sections 2, 6 and 7).

/// Follows one connection's requests.
#[derive(Debug)]
pub struct Requests {
    state: State,
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In a request's head; `line` has what came of it.
    Head,
    /// So many bytes of a body are left.
    Body(u64),
    /// In the line that tells a piece's length.
    Length,
    /// So many bytes of a piece are left, its line end included.
    Piece(u64),
    /// Behind the last piece.
    Trailer,
}

impl Requests {
    /// A connection nothing has been sent on.
    pub fn new() -> Self {
        Self { state: State::Head, line: Vec::new() }
    }

    /// Takes the next bytes; gives the methods of the requests whose heads end in them.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut methods = Vec::new();
        while let Some(&byte) = bytes.first() {
            if let State::Body(left) | State::Piece(left) = &mut self.state {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                bytes = &bytes[taken..];
                match self.state {
                    State::Body(0) => self.state = State::Head,
                    State::Piece(0) => self.state = State::Length,
                    _ => {}
                }
                continue;
            }
            bytes = &bytes[1..];
            self.line.push(byte);
            let end: &[u8] = if matches!(self.state, State::Head) { b"\r\n\r\n" } else { b"\r\n" };
            if !self.line.ends_with(end) {
                continue;
            }
            let text = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            self.state = match self.state {
                State::Head => {
                    methods.push(text.split(' ').next().unwrap_or_default().to_owned());
                    after_head(&text)
                }
                State::Length => match u64::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16) {
                    Ok(0) | Err(_) => State::Trailer,
                    Ok(length) => State::Piece(length + 2),
                },
                _ if text == "\r\n" => State::Head,
                _ => State::Trailer,
            };
        }
        methods
    }
}

fn after_head(head: &str) -> State {
    let header = |name: &str| {
        let named = head.lines().filter_map(|line| line.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    if header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        return State::Length;
    }
    match header("content-length").and_then(|length| length.parse().ok()) {
        Some(length) if length > 0 => State::Body(length),
        _ => State::Head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_no_requests() {
        let sent = b"PUT /a HTTP/1.1\r\nHost: h\r\ncontent-length: 16\r\n\r\nGET / HTTP/1.1\r\n\
                     GET /b HTTP/1.1\r\n\r\n\
                     POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nGET \r\n0\r\nT: 1\r\n\r\n\
                     HEAD /d HTTP/1.1\r\nContent-Length: 0\r\n\r\nDELETE /e HTTP/1.1\r\n\r\n";
        for step in [1, 2, 7, sent.len()] {
            let mut requests = Requests::new();
            let found: Vec<String> = sent.chunks(step).flat_map(|bytes| requests.feed(bytes)).collect();
            assert_eq!(found, ["PUT", "GET", "POST", "HEAD", "DELETE"], "{step} at a time");
        }
    }
}
