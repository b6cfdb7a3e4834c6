//! Failed attempts to sign in are slowed, by address and by name.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// So many failures cost nothing: people mistype.
const FREE: u32 = 5;
/// The longest wait between two attempts.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// After so long without a failure all is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(900);
/// How many addresses, and how many names, are remembered.
const KEPT_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(&self) -> Duration {
        match self.count.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(1u64 << over.min(6)).min(WAIT_MAX),
        }
    }
}

/// Who failed how often.
#[derive(Debug, Default)]
pub struct Slow {
    addresses: Mutex<HashMap<IpAddr, Failures>>,
    names: Mutex<HashMap<String, Failures>>,
}

impl Slow {
    /// How long who comes from `address` as `name` must still wait; none: not at all.
    pub fn left(&self, address: IpAddr, name: Option<&str>, now: Instant) -> Option<Duration> {
        let of = |failures: Option<&Failures>| {
            failures.map_or(Duration::ZERO, |f| (f.last + f.wait()).saturating_duration_since(now))
        };
        let by_address = of(self.addresses.lock().get(&group(address)));
        let by_name = name.map_or(Duration::ZERO, |name| of(self.names.lock().get(name)));
        Some(by_address.max(by_name)).filter(|left| !left.is_zero())
    }

    /// An attempt failed.
    pub fn failed(&self, address: IpAddr, name: Option<&str>, now: Instant) {
        count(&mut self.addresses.lock(), group(address), now);
        if let Some(name) = name.filter(|name| name.len() <= 255) {
            count(&mut self.names.lock(), name.to_owned(), now);
        }
    }

    /// An attempt succeeded: the name starts anew. The address does not, or one who has an account could guess the
    /// passwords of others without end.
    pub fn succeeded(&self, name: &str) {
        self.names.lock().remove(name);
    }
}

fn count<K: Hash + Eq>(map: &mut HashMap<K, Failures>, key: K, now: Instant) {
    if map.len() >= KEPT_MAX && !map.contains_key(&key) {
        map.retain(|_, f| now.saturating_duration_since(f.last) < FORGOTTEN);
        if map.len() >= KEPT_MAX {
            // Those with the fewest failures go first.
            map.retain(|_, f| f.count > FREE);
        }
        if map.len() >= KEPT_MAX {
            map.clear();
        }
    }
    let failures = map.entry(key).or_insert(Failures { count: 0, last: now });
    if now.saturating_duration_since(failures.last) >= FORGOTTEN {
        failures.count = 0;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last = now;
}

/// One customer has a whole /64 of IPv6.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_further_failure_costs_more() {
        let (slow, now) = (Slow::default(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..FREE - 1 {
            slow.failed(address, Some("ann"), now);
        }
        assert_eq!(slow.left(address, Some("ann"), now), None);
        slow.failed(address, Some("ann"), now);
        assert_eq!(slow.left(address, Some("ann"), now), Some(Duration::from_secs(1)));
        assert_eq!(slow.left(address, Some("ann"), now + Duration::from_secs(1)), None);
        for _ in 0..20 {
            slow.failed(address, Some("ann"), now);
        }
        assert_eq!(slow.left(address, None, now), Some(WAIT_MAX), "from there, whoever");
        let other = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(slow.left(other, Some("ann"), now), Some(WAIT_MAX), "that name, from anywhere");
        assert_eq!(slow.left(other, Some("bob"), now), None);
        slow.succeeded("ann");
        assert_eq!(slow.left(other, Some("ann"), now), None);
        assert_eq!(slow.left(address, Some("ann"), now), Some(WAIT_MAX));
        slow.failed(address, None, now + FORGOTTEN);
        assert_eq!(slow.left(address, None, now + FORGOTTEN), None, "old failures are forgotten");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (slow, now) = (Slow::default(), Instant::now());
        for i in 0..KEPT_MAX as u32 + 10 {
            slow.failed(IpAddr::from(i.to_be_bytes()), Some(&i.to_string()), now);
        }
        assert!(slow.addresses.lock().len() <= KEPT_MAX && slow.names.lock().len() <= KEPT_MAX);
        let [a, b] = ["2001:db8::1", "2001:db8::2"].map(|a| a.parse().unwrap());
        assert_eq!(group(a), group(b));
        assert_eq!(group("::ffff:192.0.2.1".parse().unwrap()), IpAddr::from([192, 0, 2, 1]));
    }
}
