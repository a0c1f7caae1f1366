// What of etcd's surface the scripts do not touch, and why: testdata/uncovered.txt, `kind name | reason`,
// with the kinds
//   method   an RPC of etcd's client port
//   field    of a request, Message.field
//   error    of etcd's table
//   command  of etcdctl, and `command --option`
// Something uncovered that the list does not name is a failure, and so is a line for what is covered by now.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "api/errors.h"
#include "api/methods.h"
#include "e2e/api_client.h"
#include "e2e/ctl_script.h"
#include "e2e/transcript.h"

namespace quorate::test {
namespace {
namespace pb = google::protobuf;
using Names = std::set<std::string>;

std::vector<Script> scripts_of(std::string_view ending) {
  std::vector<Script> scripts;
  for (const auto& entry : std::filesystem::directory_iterator(testdata(""))) {
    if (entry.path().extension() == ending) scripts.push_back(load_script(entry.path().filename()));
  }
  return scripts;
}

Names uncovered(const std::string& kind) {
  Names names;
  for (const std::string& line : split_lines(read_text(testdata("uncovered.txt")))) {
    if (!line.starts_with(kind + " ")) continue;
    const size_t bar = line.find(" | ");
    EXPECT_TRUE(bar != line.npos && bar + 3 < line.size()) << "no reason: " << line;
    names.insert(line.substr(kind.size() + 1, bar - kind.size() - 1));
  }
  return names;
}

void expect_covered(const std::string& kind, const Names& surface, const Names& touched) {
  const Names listed = uncovered(kind);
  for (const std::string& name : surface) {
    const bool is_touched = touched.contains(name);
    EXPECT_TRUE(is_touched || listed.contains(name)) << "no script touches the " << kind << " " << name;
    EXPECT_FALSE(is_touched && listed.contains(name))
        << "covered by now, and still in uncovered.txt: " << name;
  }
  for (const std::string& name : listed)
    EXPECT_TRUE(surface.contains(name)) << "there is no " << kind << " " << name;
}

// ---- gRPC
// -----------------------------------------------------------------------------------------------------------

std::unique_ptr<pb::Message> request_of(const std::string& method) {
  UnaryCaller caller(nullptr);
  if (method == "KeepAlive") return caller.request_of("LeaseKeepAlive");
  if (method == "send") return std::make_unique<etcdserverpb::WatchRequest>();
  return caller.request_of(method);
}

void collect_set(const pb::Message& message, Names* names) {
  std::vector<const pb::FieldDescriptor*> fields;
  const pb::Reflection* r = message.GetReflection();
  r->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    names->insert(message.GetDescriptor()->name() + "." + field->name());
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      collect_set(r->GetMessage(message, field), names);
    } else {
      for (int i = 0; i < r->FieldSize(message, field); ++i)
        collect_set(r->GetRepeatedMessage(message, field, i), names);
    }
  }
}

void collect_all(const pb::Descriptor* type, Names* names) {
  for (int i = 0; i < type->field_count(); ++i) {
    const pb::FieldDescriptor* field = type->field(i);
    if (!names->insert(type->name() + "." + field->name()).second) continue;
    if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) collect_all(field->message_type(), names);
  }
}

struct Touched {
  Names methods, fields, all_fields;  // all_fields: of the methods that are touched
};

const Touched& touched() {
  static const Touched result = [] {
    Touched t;
    for (const Script& script : scripts_of(".grpc")) {
      for (const std::string& line : script.lines) {
        const size_t blank = line.find(' ');
        std::string method = line.substr(0, blank), text = blank == line.npos ? "" : line.substr(blank + 1);
        if (method == "send") {
          const size_t next = text.find(' ');
          text = next == text.npos ? "" : text.substr(next + 1);
        }
        auto request = request_of(method);
        if (request == nullptr) continue;
        replace_all(&text, "$MEMBER", "1");
        EXPECT_TRUE(pb::TextFormat::ParseFromString(text, request.get())) << line;
        if (method == "KeepAlive") method = "LeaseKeepAlive";
        if (method == "send") method = "etcdserverpb.Watch.Watch";
        t.methods.insert(method);
        collect_set(*request, &t.fields);
        collect_all(request->GetDescriptor(), &t.all_fields);
      }
    }
    return t;
  }();
  return result;
}

TEST(Coverage, EveryMethodIsCalled) {
  Names surface, called;
  for (const api::Method& method : api::methods()) {
    std::string path(method.path.substr(1));
    replace_all(&path, "/", ".");
    surface.insert(path);
    const std::string name = path.substr(path.rfind('.') + 1);
    if (touched().methods.contains(path)) called.insert(path);
    if (path.starts_with("etcdserverpb.") && name != "Watch" && touched().methods.contains(name))
      called.insert(path);
  }
  expect_covered("method", surface, called);
}

TEST(Coverage, EveryFieldOfTheirRequestsIsUsed) {
  expect_covered("field", touched().all_fields, touched().fields);
}

TEST(Coverage, EveryErrorIsRaised) {
  std::string answers = read_text(testdata("recorded-3.7.1.txt"));
  Names surface, raised;
  for (size_t i = 0; i < api::kErrorCount; ++i) {
    const api::ErrorInfo& error = api::info(static_cast<api::Error>(i));
    surface.insert(std::string(error.name));
    const std::string text(error.text);
    // As a status, or as the reason of a cancelled watch.
    if (answers.find(": " + text + "\n") != answers.npos || answers.find("\"" + text + "\"") != answers.npos)
      raised.insert(std::string(error.name));
  }
  expect_covered("error", surface, raised);
}

// ---- etcdctl
// ---------------------------------------------------------------------------------------------------------

// etcdctl's commands for what one node serves, with their options.
const std::map<std::string, std::vector<std::string>>& commands() {
  static const std::map<std::string, std::vector<std::string>> table = {
      {"put", {"--lease", "--prev-kv", "--ignore-value", "--ignore-lease"}},
      {"get",
       {"--consistency", "--order", "--sort-by", "--limit", "--prefix", "--from-key", "--rev", "--keys-only",
        "--count-only", "--print-value-only", "--min-create-rev", "--max-create-rev", "--min-mod-rev",
        "--max-mod-rev", "--stream"}},
      {"del", {"--prefix", "--prev-kv", "--from-key", "--range"}},
      {"txn", {"-i"}},
      {"compaction", {"--physical"}},
      {"watch", {"-i", "--prefix", "--rev", "--prev-kv", "--progress-notify"}},
      {"lease grant", {}},
      {"lease revoke", {}},
      {"lease keep-alive", {"--once"}},
      {"lease timetolive", {"--keys"}},
      {"lease list", {}},
      {"member list", {"--consistency"}},
      {"member add", {}},
      {"member remove", {}},
      {"member update", {}},
      {"member promote", {}},
      {"endpoint health", {"--cluster"}},
      {"endpoint status", {"--cluster"}},
      {"endpoint hashkv", {"--cluster", "--rev"}},
      {"alarm list", {}},
      {"alarm disarm", {}},
      {"defrag", {"--cluster"}},
      {"snapshot save", {}},
      {"move-leader", {}},
      {"downgrade", {}},
      {"lock", {}},
      {"elect", {}},
      {"auth", {}},
      {"user", {}},
      {"role", {}},
      {"check perf", {}},
      {"check datascale", {}},
      {"make-mirror", {}},
      {"version", {}},
      {"completion", {}},
  };
  return table;
}

TEST(Coverage, EveryCommandAndOptionIsRun) {
  Names surface, run;
  for (const auto& [command, options] : commands()) {
    surface.insert(command);
    for (const std::string& option : options) surface.insert(command + " " + option);
    for (const char* format : {"json", "fields", "table", "protobuf"})
      surface.insert(std::string("-w ") + format);
  }
  surface.insert("--hex");
  for (const Script& script : scripts_of(".ctl")) {
    for (const std::string& line : script.lines) {
      std::vector<std::string> words = shell_words(line.substr(0, line.find(" << ")));
      if (words[0] == "start") words.erase(words.begin(), words.begin() + 2);
      std::string command = words[0];
      if (words.size() > 1 && commands().contains(command + " " + words[1])) command += " " + words[1];
      run.insert(command);
      for (size_t i = 1; i < words.size(); ++i) {
        if (words[i] == "-w" && i + 1 < words.size()) run.insert("-w " + words[i + 1]);
        if (words[i] == "--hex") run.insert("--hex");
        run.insert(command + " " + words[i].substr(0, words[i].find('=')));
      }
    }
  }
  expect_covered("command", surface, run);
}

}  // namespace
}  // namespace quorate::test
