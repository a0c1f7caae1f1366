// The program: understands what it was asked for, and exits by its outcome. 0: done, or ended by SIGTERM; 1:
// an error; 2: the command line cannot be understood.
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "host/main_output.h"
#include "host/main_run.h"
#include "host/main_signals.h"

namespace quorate::host {
namespace {

using plugin::LogLevel;
using plugin::Status;

constexpr char kCaller[] = "host/main";

#ifndef QUORATE_VERSION
#error "the version comes from CMake"
#endif

int print_version() {
  std::string text = std::string("quorate ") + QUORATE_VERSION + "\n" + "etcd Version: " + kEtcdVersion +
                     "\n" + "Git SHA: " + QUORATE_GIT_SHA + "\n" + "Compiler: " + __VERSION__ + ", glibc " +
                     gnu_get_libc_version() + "\n";
  return write_out(text) ? 0 : 1;
}

int inspect(const std::vector<std::string>& arguments) {
  Status status(plugin::Code::kInvalid, "usage: quorate plugin inspect FILE");
  if (arguments.size() == 3 && arguments[1] == "inspect") {
    DescriptorInfo info;
    std::string sha256;
    status = inspect_plugin(arguments[2], &info, &sha256);
    if (status.ok()) return write_out(describe_plugin(info, sha256)) ? 0 : 1;
  }
  std::unique_ptr<LogSink> log;
  LogOptions options;
  options.format = LogFormat::kConsole;
  if (LogSink::open(options, &log).ok()) log->write(LogLevel::kError, kCaller, status.text(), "");
  return arguments.size() == 3 ? 1 : 2;
}

// The log as configured, or, when that cannot be had, stderr.
std::unique_ptr<LogSink> open_log(const LogOptions& options, FlagError* error) {
  std::unique_ptr<LogSink> log;
  Status status = LogSink::open(options, &log);
  if (status.ok()) return log;
  if (error->ok()) *error = {1, "--log-outputs: " + std::string(status.text()), {}};
  LogOptions plain = options;
  plain.outputs = {"stderr"};
  status = LogSink::open(plain, &log);
  return log;
}

// How the start ended before it began.
int fail(const FlagError& error, LogSink* log) {
  if (error.exit_code == 2) {
    std::string text = "quorate: " + error.message + "\n" + usage_text();
    return write_error(text), 2;
  }
  if (error.fields.empty())
    log->write(LogLevel::kFatal, kCaller, "failed to verify flags", json_fields({{"error", error.message}}));
  else
    log->write(LogLevel::kFatal, kCaller, error.message, json_fields(error.fields));
  return 1;
}

int start(const std::vector<std::string>& arguments) {
  auto* config = new Config;  // for the life of the process, as plugins are
  auto* plugins = new PluginsConfig;
  Action action = Action::kRun;
  FlagError error = read_config(arguments, process_environment(), config, &action);
  if (error.exit_code == 2) return fail(error, nullptr);
  if (action == Action::kHelp) return write_out(help_text()) ? 0 : 1;
  if (action == Action::kVersion) return print_version();
  LogOptions log_options = config->log;
  if (config->check_only) {  // leaves nothing behind, not even a log file
    Status places = check_places(log_options);
    if (error.ok() && !places.ok()) error = {1, "--log-outputs: " + std::string(places.text()), {}};
    log_options.outputs = {"stderr"};
    log_options.rotate = false;
  }
  std::unique_ptr<LogSink> log = open_log(log_options, &error);
  if (!log) return 1;
  for (const Notice& notice : config->notices) {
    LogLevel level = notice.level == Notice::Level::kWarn ? LogLevel::kWarn : LogLevel::kInfo;
    log->write(level, kCaller, notice.message, json_fields(notice.fields));
  }
  if (!error.ok()) return fail(error, log.get());
  Status status = find_plugins(config->plugins_file, config->node.data_directory, plugins);
  if (!status.ok()) return fail({1, status.text(), {}}, log.get());
  LogSink* lasting = log.release();  // plugins' threads may write to it until the very end
  int code =
      config->check_only ? check_config(*config, *plugins, lasting) : run_node(*config, *plugins, lasting);
  lasting->flush(500);
  return code;
}

}  // namespace
}  // namespace quorate::host

// A descriptor below 3 that is closed would be given to the next file, and the log would be written into
// that.
void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) (void)!open("/dev/null", O_RDWR);
  }
}

int main(int argc, char** argv) {
  open_standard_descriptors();
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  quorate::host::block_signals();
  if (!arguments.empty() && arguments[0] == "plugin") return quorate::host::inspect(arguments);
  return quorate::host::start(arguments);
}
