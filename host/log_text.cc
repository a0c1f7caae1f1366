// How a line looks, and the words of the log's flags.
#include <algorithm>
#include <cstdio>
#include <ctime>

#include "host/log.h"

namespace quorate::host {

using plugin::Code;
using plugin::LogLevel;
using plugin::Status;

namespace {

// The length of the UTF-8 sequence at the front of `text`; 0: there is none.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  size_t length = first < 0x80   ? 1
                  : first < 0xc2 ? 0
                  : first < 0xe0 ? 2
                  : first < 0xf0 ? 3
                  : first < 0xf5 ? 4
                                 : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (first == 0xe0 && byte(1) < 0xa0) return 0;  // overlong
  if (first == 0xed && byte(1) > 0x9f) return 0;  // surrogates
  if (first == 0xf0 && byte(1) < 0x90) return 0;  // overlong
  if (first == 0xf4 && byte(1) > 0x8f) return 0;  // beyond U+10FFFF
  return length;
}

void append_escaped(std::string* out, char c) {
  switch (c) {
    case '"':
      *out += "\\\"";
      return;
    case '\\':
      *out += "\\\\";
      return;
    case '\n':
      *out += "\\n";
      return;
    case '\r':
      *out += "\\r";
      return;
    case '\t':
      *out += "\\t";
      return;
    default:
      break;
  }
  auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte != 0x7f) {
    *out += c;
    return;
  }
  char hex[8];
  std::snprintf(hex, sizeof hex, "\\u%04x", byte);
  *out += hex;
}

// As etcd: 2006-01-02T15:04:05.000000Z0700, in UTC.
std::string timestamp(uint64_t unix_ns) {
  auto seconds = static_cast<time_t>(unix_ns / 1'000'000'000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<unsigned>(unix_ns % 1'000'000'000 / 1000));
  return text;
}

// The members of a JSON object, without its braces. What is not an object on one line becomes a member
// "fields".
std::string members_of(std::string_view json) {
  if (json.empty() || json == "{}") return {};
  bool is_object = json.size() >= 2 && json.front() == '{' && json.back() == '}';
  bool is_line =
      std::none_of(json.begin(), json.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (!is_object || !is_line) return "\"fields\":" + json_string(json);
  return std::string(json.substr(1, json.size() - 2));
}

// Text of a console line: on one line, whatever is in it.
std::string one_line(std::string_view text) {
  std::string escaped = json_string(text);
  std::string out;
  for (size_t i = 1; i + 1 < escaped.size(); ++i) {
    if (escaped[i] == '\\' && (escaped[i + 1] == '"' || escaped[i + 1] == '\\')) ++i;
    out += escaped[i];
  }
  return out;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    size_t length = utf8_length(text);
    if (length == 1)
      append_escaped(&out, text[0]);
    else if (length == 0)
      out += "\xef\xbf\xbd";
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out + "\"";
}

std::string json_fields(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string out = "{";
  for (const auto& [name, value] : fields) {
    if (out.size() > 1) out += ',';
    out += json_string(name);
    out += ':';
    out += json_string(value);
  }
  return out + "}";
}

std::string format_line(LogFormat format, LogLevel level, uint64_t unix_ns, std::string_view caller,
                        std::string_view message, std::string_view fields_json) {
  std::string members = members_of(fields_json);
  if (format == LogFormat::kConsole) {
    std::string line =
        timestamp(unix_ns) + "\t" + level_name(level) + "\t" + one_line(caller) + "\t" + one_line(message);
    if (!members.empty()) line += "\t{" + members + "}";
    return line;
  }
  std::string line = std::string("{\"level\":\"") + level_name(level) + "\",\"ts\":\"" + timestamp(unix_ns) +
                     "\",\"caller\":" + json_string(caller) + ",\"msg\":" + json_string(message);
  if (!members.empty()) line += "," + members;
  return line + "}";
}

bool parse_level(const std::string& text, LogLevel* out) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError,
                         LogLevel::kPanic, LogLevel::kFatal}) {
    if (text != level_name(level)) continue;
    *out = level;
    return true;
  }
  return false;
}

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
    case LogLevel::kPanic:
      return "panic";
    case LogLevel::kFatal:
      return "fatal";
  }
  return "error";
}

Status check_outputs(LogOptions* options) {
  auto invalid = [](const std::string& text) { return Status(Code::kInvalid, text); };
  std::vector<std::string> outputs;
  size_t files = 0;
  for (const std::string& output : options->outputs) {
    if (output.empty()) return invalid("an output has no name");
    if (output == "systemd/journal")
      return invalid("systemd/journal is refused: log to stderr, which systemd puts into the journal");
    if (output == "default" && options->outputs.size() > 1)
      return invalid("multi logoutput for \"default\" is not supported yet; use stderr");
    if (output == "/dev/null") {  // with whatever beside it, as in etcd
      options->outputs = {"/dev/null"};
      return {};
    }
    if (output != "default" && output != "stderr" && output != "stdout") ++files;
    if (std::find(outputs.begin(), outputs.end(), output) == outputs.end()) outputs.push_back(output);
  }
  if (outputs.empty()) outputs.emplace_back("default");
  if (options->rotate && files != 1)
    return invalid("--enable-log-rotation needs exactly one file among --log-outputs");
  options->outputs = std::move(outputs);
  return {};
}

}  // namespace quorate::host
