//! What the pool itself counts, as it is at the time of a scrape.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rclonepool_core::Result;
use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::{CacheStats, RemoteReport};
use rclonepool_core::remote::wrap::{BOUNDS, MetricsSnapshot, TimingSnapshot};
use serde::Serialize;

use crate::tenant::{Glance, Health, Tenant};

/// A scrape.
#[derive(Debug)]
pub struct PoolMetrics {
    glance: Arc<Glance>,
    health: Option<Health>,
    damaged: u64,
    cache: CacheStats,
    remotes: Vec<(String, MetricsSnapshot)>,
}

/// The name serde gives a unit variant.
fn name_of(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

type Labels<'a> = Vec<(&'a str, String)>;

impl PoolMetrics {
    /// Everything as it is now.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn take(tenant: &Tenant) -> Result<Self> {
        let pool = tenant.pool();
        let names = pool.journal().remotes().iter().map(|remote| redact_remote(remote.label()));
        let remotes = names.zip(pool.metrics()).map(|(name, metrics)| (name, metrics.snapshot())).collect();
        Ok(Self {
            glance: tenant.glance().await?,
            health: tenant.health(),
            damaged: pool.damage()?.len() as u64,
            cache: pool.cache_stats(),
            remotes,
        })
    }

    fn of_remotes(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let by_remote = |name: &str| vec![("remote", name.to_owned())];
        let mut operations = Vec::new();
        let mut bytes = Vec::new();
        let mut errors = Vec::new();
        let mut timing = Vec::new();
        let mut in_flight = Vec::new();
        for (name, seen) in &self.remotes {
            for (verb, count) in &seen.operations {
                operations.push(([by_remote(name), vec![("operation", name_of(verb))]].concat(), *count));
            }
            for (direction, count) in [("upload", seen.bytes_up), ("download", seen.bytes_down)] {
                bytes.push(([by_remote(name), vec![("direction", direction.to_owned())]].concat(), count));
            }
            for (kind, count) in &seen.errors {
                errors.push(([by_remote(name), vec![("kind", name_of(kind))]].concat(), *count));
            }
            for (verb, snapshot) in &seen.timing {
                timing.push(([by_remote(name), vec![("operation", name_of(verb))]].concat(), snapshot));
            }
            in_flight.push((by_remote(name), seen.in_flight as f64));
        }
        counters(encoder, "remote_operations", "Calls begun, each try counts", None, &operations)?;
        let help = "Bytes sent to a remote (upload) and read from it (download)";
        counters(encoder, "remote_transferred", help, Some(&Unit::Bytes), &bytes)?;
        counters(encoder, "remote_errors", "Calls and streams that failed, by kind", None, &errors)?;
        histograms(encoder, "remote_operation_duration", "Time of the calls that succeeded", &timing)?;
        gauges(encoder, "remote_operations_in_flight", "Calls and streams that have not ended", None, &in_flight)
    }

    fn of_space(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let each = |value: &dyn Fn(&RemoteReport) -> Option<f64>| -> Vec<(Labels<'static>, f64)> {
            let remotes = self.glance.status.remotes.iter();
            remotes.filter_map(|r| Some((vec![("remote", redact_remote(&r.name))], value(r)?))).collect()
        };
        let of = |number: u64| Some(number as f64);
        let online = each(&|r| Some(if r.online { 1.0 } else { 0.0 }));
        gauges(encoder, "remote_online", "Whether a remote is online", None, &online)?;
        let objects = each(&|r| of(r.objects));
        gauges(encoder, "remote_shards", "Shards on a remote: how chunks are distributed", None, &objects)?;
        let bytes = Some(&Unit::Bytes);
        gauges(encoder, "remote_stored", "Bytes of shards on a remote", bytes, &each(&|r| of(r.used)))?;
        let capacity = each(&|r| r.quota.or(r.usage.total).and_then(of));
        gauges(encoder, "remote_capacity", "What a remote can hold: its quota, else its size", bytes, &capacity)?;
        let free = each(&|r| r.usage.free.and_then(of));
        gauges(encoder, "remote_free", "What is free on a remote, by its own word", bytes, &free)?;
        let fills = self.glance.balance.remotes.iter();
        let fills: Vec<_> = fills.map(|r| (vec![("remote", redact_remote(&r.name))], r.fill / 100.0)).collect();
        let help = "Bytes on a remote over its fair share";
        gauges(encoder, "remote_utilization", help, Some(&Unit::Ratios), &fills)?;
        let variance = [(Vec::new(), self.glance.balance.variance / 100.0)];
        let help = "The largest difference between the utilization of two remotes";
        gauges(encoder, "utilization_variance", help, Some(&Unit::Ratios), &variance)
    }

    fn of_cache(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let CacheStats { hits, joined, misses, bytes, capacity } = self.cache;
        let one = |value: u64| [(Vec::new(), value as f64)];
        let by = |outcome: &str| vec![("outcome", outcome.to_owned())];
        let reads = [(by("hit"), hits), (by("joined"), joined), (by("miss"), misses)];
        let help = "Blocks that were asked for: there (hit), on their way already (joined), or to be fetched (miss)";
        counters(encoder, "cache_reads", help, None, &reads)?;
        gauges(encoder, "cache_size", "What the block cache holds", Some(&Unit::Bytes), &one(bytes))?;
        gauges(encoder, "cache_capacity", "The most it may hold", Some(&Unit::Bytes), &one(capacity))
    }

    fn of_files(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let one = |value: u64| [(Vec::new(), value as f64)];
        let (status, bytes) = (&self.glance.status, Some(&Unit::Bytes));
        gauges(encoder, "files", "Files in the pool", None, &one(status.files))?;
        gauges(encoder, "files_size", "Their bytes, before redundancy", bytes, &one(status.bytes))?;
        gauges(encoder, "trash_versions", "Versions in the trash", None, &one(status.trash_versions))?;
        gauges(encoder, "trash_size", "Their bytes, before redundancy", bytes, &one(status.trash_bytes))?;
        gauges(encoder, "stored", "Bytes of shards on all remotes", bytes, &one(status.stored))?;
        if let Some(Health { files, tolerated_remotes }) = &self.health {
            let states = [
                ("healthy", files.healthy),
                ("degraded", files.degraded),
                ("at_risk", files.at_risk),
                ("unavailable", files.unavailable),
                ("lost", files.lost),
            ];
            let states: Vec<_> = states.map(|(state, n)| (vec![("state", state.to_owned())], n as f64)).into();
            gauges(encoder, "files_by_health", "Files by the state of their health", None, &states)?;
            let tolerated = one(*tolerated_remotes as u64);
            gauges(encoder, "tolerated_remotes", "How many remotes may still be lost", None, &tolerated)?;
        }
        let help = "Shards known to be damaged, which healing rebuilds";
        gauges(encoder, "damaged_shards", help, None, &one(self.damaged))
    }
}

impl Collector for PoolMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.of_remotes(&mut encoder)?;
        self.of_space(&mut encoder)?;
        self.of_cache(&mut encoder)?;
        self.of_files(&mut encoder)
    }
}

fn counters(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: &[(Labels<'_>, u64)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn gauges(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: &[(Labels<'_>, f64)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in values {
        let gauge = ConstGauge::new(*value);
        if labels.is_empty() {
            return gauge.encode(family);
        }
        gauge.encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn histograms(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: &[(Labels<'_>, &TimingSnapshot)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (labels, seen) in values {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(seen.counts.iter().copied()).collect();
        let total = seen.counts.iter().sum();
        family.encode_family(labels)?.encode_histogram::<NoLabelSet>(seen.sum, total, &buckets, None)?;
    }
    Ok(())
}
