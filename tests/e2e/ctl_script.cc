#include "e2e/ctl_script.h"

#include <signal.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>

#include "e2e/api_client.h"

namespace quorate::test {
namespace {

bool is_value_char(char c) {
  return isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || static_cast<signed char>(c) < 0;
}

// What varies: how long something took, sizes on disk, and raft's numbers.
void mask_after(std::string* text, std::string_view key) {
  for (size_t at = text->find(key); at != text->npos; at = text->find(key, at)) {
    at += key.size();
    size_t end = at;
    while (end < text->size() && is_value_char((*text)[end])) ++end;
    if (end > at) text->replace(at, end - at, "#");
  }
}

void mask_fields(std::string* text) {
  for (std::string_view name :
       {"raft_term", "raftTerm", "raftIndex", "raftAppliedIndex", "dbSize", "dbSizeInUse"})
    mask_after(text, "\"" + std::string(name) + "\":");
  for (std::string_view name : {"RaftTerm", "RaftIndex", "RaftAppliedIndex", "DBSize", "DBSizeInUse"})
    mask_after(text, "\"" + std::string(name) + "\" : ");
  for (std::string_view key : {"took = ", "took\":\"", "\"Took\" : ", "remaining(", "\"ttl\":", "\"TTL\" : "})
    mask_after(text, key);
  // The keys of sessions.ctl end in the id of a lease that etcdctl took out by itself.
  for (std::string_view key : {"mutex/", "chair/"}) mask_after(text, key);
}

bool is_size(std::string_view cell) {
  return cell.ends_with(" kB") || cell.ends_with(" MB") || cell.ends_with(" GB") || cell.ends_with(" B");
}

std::string mask_cell(const std::string& cell) {
  const size_t from = cell.find_first_not_of(' ');
  if (from == cell.npos) return "";
  std::string inner = cell.substr(from, cell.find_last_not_of(' ') - from + 1);
  const bool number = inner.find_first_not_of("0123456789") == inner.npos;
  const bool duration = inner.ends_with("ms") || inner.ends_with("µs");
  return number || duration || is_size(inner) ? "#" : inner;
}

// Rows of a table, and of the simple form of `endpoint status`: cells without padding, numbers and sizes
// masked.
std::string mask_cells(const std::string& line, const std::string& separator) {
  std::string out;
  size_t at = 0;
  while (true) {
    const size_t end = line.find(separator, at);
    out += mask_cell(line.substr(at, end - at));
    if (end == line.npos) return out;
    out += separator;
    at = end + separator.size();
  }
}

std::string mask_line(std::string line, bool status) {
  if (line.starts_with("+-")) {
    while (line.find("--") != line.npos) replace_all(&line, "--", "-");
    return line;
  }
  if (line.starts_with("|")) return mask_cells(line, "|");
  if (status && (line.starts_with("ENDPOINT, ") || line.starts_with("CLIENT-URL, ")))
    return mask_cells(line, ", ");
  mask_fields(&line);
  return line;
}

class Runner {
 public:
  explicit Runner(const Server& server)
      : server_(server), identity_(identity_of(server.connect())), normaliser_(server, identity_) {}

  std::string run(const std::string& line) {
    const size_t blank = line.find(' ');
    const std::string verb = line.substr(0, blank), rest = blank == line.npos ? "" : line.substr(blank + 1);
    if (verb == "start") return start(rest);
    if (verb == "until") return until(rest);
    if (verb == "stop") return end(rest, SIGINT);
    if (verb == "wait") return end(rest, 0);
    const Command command = command_of(line);
    const Ended ended = quorate::test::run(command, kCallLimit);
    remember_lease(command, ended.out);
    return show(command, ended.code, ended.out, ended.err);
  }

 private:
  struct Running {
    Command command;
    std::unique_ptr<Process> process;
  };

  Command command_of(std::string line) const {
    char member[17];
    snprintf(member, sizeof member, "%lx", identity_.member);
    replace_all(&line, "$MEMBER", member);
    for (size_t i = 0; i < leases_.size(); ++i) replace_all(&line, "$L" + std::to_string(i + 1), leases_[i]);
    Command command;
    command.env = {"ETCDCTL_API=3"};
    if (const size_t at = line.find(" << "); at != line.npos) {
      command.input = line.substr(at + 4);
      replace_all(&command.input, "\\n", "\n");
      line.resize(at);
    }
    command.argv = {etcdctl(), "--endpoints=" + server_.endpoint()};
    for (std::string& word : shell_words(line)) command.argv.push_back(std::move(word));
    return command;
  }

  std::string start(const std::string& rest) {
    const size_t blank = rest.find(' ');
    Running& running = running_[rest.substr(0, blank)];
    running.command = command_of(rest.substr(blank + 1));
    running.process = std::make_unique<Process>(running.command, dir_ / ("ctl" + std::to_string(++started_)));
    return "";
  }

  std::string until(const std::string& rest) {
    const size_t blank = rest.find(' ');
    Process& process = *running_.at(rest.substr(0, blank)).process;
    const std::string text = rest.substr(blank + 1);
    const bool seen =
        wait_until(Millis(15000), [&] { return process.out().find(text) != std::string::npos; });
    return seen ? "" : "NOT WRITTEN: " + text + "\n";
  }

  std::string end(const std::string& name, int signal) {
    Running& running = running_.at(name);
    if (signal != 0) running.process->signal(signal);
    const std::optional<int> code = running.process->wait(Millis(15000));
    return show(running.command, code.value_or(-1), running.process->out(), running.process->err());
  }

  // The ids of leases are the server's choice.
  void remember_lease(const Command& command, const std::string& out) {
    if (command.argv.size() < 4 || command.argv[2] != "lease" || command.argv[3] != "grant") return;
    uint64_t id = 0;
    for (const auto& [key, base] :
         {std::pair("lease ", 16), std::pair("\"ID\":", 10), std::pair("\"ID\" : ", 10)}) {
      const size_t at = out.find(key);
      if (at == out.npos || id != 0) continue;
      id = std::strtoull(out.c_str() + at + strlen(key), nullptr, base);
    }
    if (id == 0) return;
    char hex[17];
    snprintf(hex, sizeof hex, "%016lx", id);
    leases_.push_back(hex);
    decimal_leases_.push_back(std::to_string(id));
  }

  std::string show(const Command& command, int code, const std::string& out, const std::string& err) const {
    const bool status =
        command.argv.size() > 3 && command.argv[2] == "endpoint" && command.argv[3] == "status";
    std::string text;
    // Raw bytes, ids and all: what the other formats show.
    if (std::find(command.argv.begin(), command.argv.end(), "protobuf") != command.argv.end() && code == 0)
      return out.empty() ? "nothing\nexit 0\n" : "bytes\nexit 0\n";
    if (out.starts_with("NAME:")) return "usage\nexit " + std::to_string(code) + "\n";
    for (const std::string& line : split_lines(names(out))) text += mask_line(line, status) + "\n";
    for (std::string line : split_lines(names(err))) {
      mask_fields(&line);
      if (line.starts_with("Error:") || line.find(" healthy") != line.npos) text += "stderr: " + line + "\n";
    }
    return text + "exit " + std::to_string(code) + "\n";
  }

  std::string names(std::string text) const {
    text = normaliser_.names(std::move(text));
    for (size_t i = 0; i < leases_.size(); ++i) {
      const std::string name = "LEASE" + std::to_string(i + 1);
      replace_all(&text, leases_[i], name);
      replace_all(&text, decimal_leases_[i], name);
    }
    return text;
  }

  const Server& server_;
  Identity identity_;
  Normaliser normaliser_;
  TempDir dir_;
  std::map<std::string, Running> running_;
  std::vector<std::string> leases_, decimal_leases_;
  int started_ = 0;
};

}  // namespace

const std::string& etcdctl() {
  static const std::string path = find_program(env_or("QUORATE_ETCDCTL", "etcdctl"));
  return path;
}

bool etcdctl_is_34() {
  static const bool is =
      run({{etcdctl(), "version"}, {"ETCDCTL_API=3"}, {}}).out.find("version: 3.4.") != std::string::npos;
  return is;
}

std::vector<std::string> shell_words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  char quote = 0;
  bool in_word = false;
  for (char c : line) {
    if (quote != 0) {
      if (c == quote)
        quote = 0;
      else
        word.push_back(c);
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ') {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word.push_back(c);
      in_word = true;
    }
  }
  if (in_word) words.push_back(word);
  return words;
}

Transcript run_ctl_script(const Script& script, const Server& server) {
  Transcript transcript;
  Runner runner(server);
  for (const std::string& line : script.lines) transcript.push_back({line, runner.run(line)});
  return transcript;
}

}  // namespace quorate::test
