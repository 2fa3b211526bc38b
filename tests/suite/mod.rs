mod adapters;
mod architecture;
mod broken;
mod calibration;
mod cli;
mod compose;
mod config;
mod engine;
mod main_job;
mod merge;
mod models;
mod offline;
mod peft;
mod tasks;

#[cfg(feature = "download")]
mod pull;
