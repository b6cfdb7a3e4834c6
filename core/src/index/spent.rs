//! What was moved today, for the budgets of `remote_limits`: shared by all processes of this machine.

use rusqlite::{OptionalExtension, TransactionBehavior};

use super::{Index, failed};
use crate::error::Result;
use crate::remote::wrap::Ledger;

impl Ledger for Index {
    fn spend(&self, remote: &str, day: u64, bytes: [u64; 2], limits: [u64; 2]) -> Result<bool> {
        let key = format!("spent {remote}");
        let mut connection = self.lock();
        let db = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let text: Option<String> = db
            .query_row("SELECT value FROM meta WHERE key = ?", [&key], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        let kept: (u64, [u64; 2]) = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let before = if kept.0 == day { kept.1 } else { [0; 2] };
        let after = [0, 1].map(|way| before[way].saturating_add(bytes[way]));
        if [0, 1].into_iter().any(|way| bytes[way] > 0 && after[way] > limits[way]) {
            return Ok(false);
        }
        let text = serde_json::json!([day, after]).to_string();
        db.execute("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)", [&key, &text]).map_err(failed)?;
        db.commit().map_err(failed)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_a_day_stay_within_their_limits() {
        let index = Index::in_memory().unwrap();
        let spend = |remote, day, bytes| index.spend(remote, day, bytes, [100, 10]).unwrap();
        assert!(spend("a", 1, [60, 0]) && spend("a", 1, [40, 0]) && !spend("a", 1, [1, 0]));
        assert!(spend("a", 1, [0, 10]) && !spend("a", 1, [0, 1]), "each way its own");
        assert!(spend("b", 1, [100, 0]), "each remote its own");
        assert!(index.spend("a", 1, [5, 5], [u64::MAX; 2]).unwrap(), "what must pass is counted");
        assert!(spend("a", 2, [100, 0]) && !spend("a", 2, [1, 0]), "a new day");
    }
}
