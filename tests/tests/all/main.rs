//! All ordinary integration tests in one binary, because linking takes the longest.

mod alerts;
mod architecture;
mod book;
mod cluster;
mod conformance;
mod dependencies;
mod documentation;
mod etcd;
mod events;
mod evidence;
mod faults;
mod golden;
mod histories;
mod journal;
mod manual;
mod processes;
mod programs;
mod python;
mod rules;
mod sessions;
mod shared_etcd;
mod simulation;
mod storage;
mod units;
mod writer_thread;
