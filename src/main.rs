//! The `nfold` program: hands the command line to the library and its exit code to the system.

fn main() -> std::process::ExitCode {
    nfold::cli::main(std::env::args_os())
}
