//! The cluster: several hosts that share one journal, of which one leads at a time.

pub mod about;
pub mod etcd_journal;
pub mod founding;
pub mod members;
pub mod roster;
pub mod trim;
