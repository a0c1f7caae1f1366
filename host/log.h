// The log: lines in etcd's JSON shape, or tab-separated for people, to any number of outputs.
//
// Writing a line never waits: each output has a bounded queue and a thread of its own, and a line that finds
// the queue full is counted; when there is room again a line tells how many were dropped. The threads write
// to duplicates of the descriptors, in pieces that a pipe takes at once and after asking whether there is
// room, and change no flag of a descriptor that others may share. An output whose reader has gone is given
// up, without SIGPIPE.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "quorate/plugin/host.h"

namespace quorate::host {

enum class LogFormat : uint32_t { kJson, kConsole };

struct LogRotation {
  uint64_t max_bytes =
      100u << 20;             // a file larger than this is renamed to NAME-TIME.EXT, and a new one begun
  uint64_t max_age_days = 0;  // older ones are deleted; 0: never
  uint64_t max_backups = 0;   // more of them are deleted, the oldest first; 0: never
  bool local_time = false;    // in the names of the old files
};

struct LogOptions {
  plugin::LogLevel level = plugin::LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
  std::vector<std::string> outputs = {"default"};  // default (stderr), stderr, stdout, paths of files
  bool rotate = false;                             // the one file among them
  LogRotation rotation;
};

// debug info warn error panic fatal. False: none of them.
bool parse_level(const std::string& text, plugin::LogLevel* out);
const char* level_name(plugin::LogLevel level);
// Whether these outputs can be had together. Removes repetitions.
plugin::Status check_outputs(LogOptions* options);
// Whether the files could be opened, without touching any.
plugin::Status check_places(const LogOptions& options);
// etcd's JSON: maxsize, maxage, maxbackups, localtime, compress.
plugin::Status parse_rotation(const std::string& json, LogRotation* out);

// One line, without its end. `fields_json` as Log::write takes it.
std::string format_line(LogFormat format, plugin::LogLevel level, uint64_t unix_ns, std::string_view caller,
                        std::string_view message, std::string_view fields_json);

// `text` as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);
// {"a":"b",...}: every value a string.
std::string json_fields(const std::vector<std::pair<std::string, std::string>>& fields);

class LogSink {
 public:
  // Opens the files. Errors name the file.
  static plugin::Status open(const LogOptions& options, std::unique_ptr<LogSink>* out);
  // Writes what is queued, for at most half a second, and ends the threads.
  ~LogSink();

  // [thread-safe, no-block]
  bool enabled(plugin::LogLevel level) const { return level >= level_; }
  void write(plugin::LogLevel level, std::string_view caller, std::string_view message,
             std::string_view fields_json);

  // The log as one component sees it; `caller` names it in its lines. Must not outlive the sink.
  plugin::Ref<plugin::Log> named(const std::string& caller);

  // Waits until everything queued so far is written, `milliseconds` at most. False: some is not.
  bool flush(uint32_t milliseconds);
  uint64_t dropped() const;  // [thread-safe] lines, of all outputs

 private:
  class Output;
  LogSink() = default;

  plugin::LogLevel level_ = plugin::LogLevel::kInfo;
  LogFormat format_ = LogFormat::kJson;
  std::mutex order_;  // of the lines, the same on every output
  std::vector<std::shared_ptr<Output>> outputs_;
};

}  // namespace quorate::host
