mod adapters;
mod architecture;
mod broken;
mod calibration;
mod cli;
mod compose;
mod config;
mod engine;
mod eval;
mod main_job;
mod merge;
mod models;
mod offline;
mod peft;
mod pty;
mod tasks;
mod train;
mod train_cli;
mod ui;
mod worker;

#[cfg(feature = "download")]
mod pull;
