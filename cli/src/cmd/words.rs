//! What redundancy comes to, in words.

use rclonepool_core::Pool;
use rclonepool_core::pool::tolerated;
use rclonepool_core::redundancy::Redundancy;

use crate::context::Context;
use crate::format::count;

/// `any 1 of the 4 remotes may be lost`.
pub fn tolerance(tolerated: usize, remotes: usize) -> String {
    match (tolerated, remotes) {
        (0, 1) => "the one remote may not be lost".into(),
        (0, n) => format!("none of the {n} remotes may be lost"),
        (t, n) => format!("any {t} of the {n} remotes may be lost"),
    }
}

/// What it costs that there are fewer remotes than a chunk has shards; `None` where there are enough.
pub fn too_few(redundancy: Redundancy, remotes: usize) -> Option<String> {
    let objects = redundancy.objects();
    (remotes < objects).then(|| {
        format!(
            "{redundancy} makes {objects} shards of every chunk, and there {} {}: several lie together, and {} \
             ({} with {objects} remotes)",
            if remotes == 1 { "is" } else { "are" },
            count(remotes as u64, "remote"),
            tolerance(tolerated(redundancy, remotes), remotes),
            redundancy.tolerated(),
        )
    })
}

/// Warns when new files will survive less than their redundancy promises.
pub async fn warn_of_tolerance(context: &Context, pool: &Pool) {
    let online = pool.view().await.online().len();
    if let Some(cost) = too_few(pool.settings().redundancy, online) {
        context.ui.warn(&cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_few_remotes_is_said() {
        let parity = Redundancy::parity_of(3, 1).unwrap();
        assert_eq!(too_few(parity, 4), None);
        assert_eq!(
            too_few(parity, 2).unwrap(),
            "parity:3+1 makes 4 shards of every chunk, and there are 2 remotes: several lie together, and none of \
             the 2 remotes may be lost (1 with 4 remotes)"
        );
        assert_eq!(tolerance(2, 6), "any 2 of the 6 remotes may be lost");
        assert_eq!(too_few(Redundancy::NONE, 1), None);
    }
}
