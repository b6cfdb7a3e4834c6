//! The command line, over plain directories.

mod bad_config;
mod bad_data;
mod bad_remotes;
mod balance;
mod care;
mod doctor;
mod duplicates;
mod everyday;
mod freeing;
mod help;
mod init;
mod interrupt;
mod json;
mod manual;
mod membership;
mod over_rclone;
mod paths;
mod plugins;
mod rebuild;
mod recover;
mod serve;
mod torture;
mod transfer;
mod verify;
mod wizard;
