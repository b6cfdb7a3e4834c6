//! The guide's programs run, and print what it says.

use std::process::Command;

use rclonepool_tests::c::{compile, run};
use rclonepool_tests::{repository, scratch};

/// The code blocks of the guide in a language.
fn programs(language: &str) -> Vec<String> {
    let guide = repository::read("docs/c.md");
    let blocks = guide.split("```").skip(1).step_by(2);
    let wanted = blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n")));
    wanted.filter(|block| block.contains("main(")).map(str::to_owned).collect()
}

fn try_program(language: &str, end: &str, compiler: &str, standard: &str) {
    let programs = programs(language);
    assert_eq!(programs.len(), 1, "one complete program in {language}");
    let scratch = scratch();
    let source = scratch.path().join(format!("guide.{end}"));
    std::fs::write(&source, &programs[0]).unwrap();
    let program = compile(scratch.path(), compiler, &[standard, "-fsanitize=address,undefined"], &[&source]);
    let disks = scratch.path().join("disks");
    for disk in ["", "one", "two"] {
        std::fs::create_dir(disks.join(disk)).unwrap();
    }
    let printed = run(Command::new(program).arg(&disks));
    assert_eq!(printed, expected(), "{language}");
}

/// What the guide says that its programs print.
fn expected() -> String {
    let guide = repository::read("docs/c.md");
    let output = guide.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    output.expect("the guide shows what is printed").to_owned()
}

#[test]
fn c_program_of_the_guide() {
    try_program("c", "c", "gcc", "-std=c99");
}

#[test]
fn cpp_program_of_the_guide() {
    try_program("cpp", "cpp", "g++", "-std=c++17");
}
