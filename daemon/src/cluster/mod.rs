//! The cluster: several hosts that share one journal, of which one leads at a time.

pub mod etcd_journal;
