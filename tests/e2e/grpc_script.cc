#include "e2e/grpc_script.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "e2e/api_client.h"

namespace quorate::test {
namespace {

namespace api = etcdserverpb;
using Words = std::vector<std::string>;

// The first words of a line, the last taking all that is left.
Words cut(std::string_view line, size_t most) {
  Words words;
  while (words.size() + 1 < most) {
    const size_t blank = line.find(' ');
    words.emplace_back(line.substr(0, blank));
    if (blank == line.npos) return words;
    line.remove_prefix(blank + 1);
  }
  words.emplace_back(line);
  return words;
}

std::string from_hex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return out;
}

// The events of several watches, listed watch by watch.
class EventList {
 public:
  explicit EventList(const Normaliser& normaliser) : normaliser_(normaliser) {}

  void add(const api::WatchResponse& response) {
    const int64_t id = response.watch_id();
    Seen& seen = seen_[id];
    for (const auto& event : response.events()) {
      const int64_t revision = event.kv().mod_revision();
      if (&event == &response.events(0) && revision == seen.last && !seen.fragment)
        seen.lines += "TORN: revision " + std::to_string(revision) + " goes on in another response\n";
      if (revision < seen.last) seen.lines += "BACKWARDS: after revision " + std::to_string(seen.last) + "\n";
      seen.last = revision;
      seen.lines += "watch " + std::to_string(id) + ": " + normaliser_.text(event) + "\n";
    }
    seen.fragment = response.fragment();
    if (response.header().revision() < seen.last) seen.lines += "HEADER: older than its events\n";
    count_ += static_cast<size_t>(response.events_size());
  }
  size_t count() const { return count_; }
  std::string text() const {
    std::string out;
    for (const auto& [id, seen] : seen_) out += seen.lines;
    return out;
  }

 private:
  struct Seen {
    int64_t last = 0;
    bool fragment = false;
    std::string lines;
  };
  const Normaliser& normaliser_;
  std::map<int64_t, Seen> seen_;
  size_t count_ = 0;
};

class Runner {
 public:
  Runner(const Server& server, const Frame& frame)
      : caller_(server.connect()),
        frame_(frame),
        identity_(identity_of(caller_.channel())),
        normaliser_(server, identity_, frame) {}

  std::string run(const std::string& script_line) {
    std::string line = script_line;
    replace_all(&line, "$MEMBER", std::to_string(identity_.member));
    const Words words = cut(line, 2);
    const std::string rest = words.size() > 1 ? words[1] : "";
    if (words[0] == "RangeStream") return range_stream(rest);
    if (words[0] == "KeepAlive") return keep_alive(rest);
    if (words[0] == "open") return open(rest);
    if (words[0] == "send") return send(cut(rest, 2));
    if (words[0] == "half") return watch(rest).half_close(), "";
    if (words[0] == "recv") return receive(cut(rest, 2));
    if (words[0] == "events") return events(cut(rest, 2));
    if (words[0] == "progress") return progress(watch(rest));
    if (words[0] == "meta") return add_metadata(rest);
    if (words[0] == "raw") return raw(cut(rest, 2));
    if (words[0] == "expire") return expire(std::stoll(rest));
    if (words[0] == "fill") return fill(cut(rest, 3));
    return unary(words[0], rest);
  }

 private:
  template <typename Message>
  Message parse(const std::string& text) {
    Message message;
    parse_into(text, &message);
    return message;
  }
  void parse_into(const std::string& text, google::protobuf::Message* message) {
    if (!google::protobuf::TextFormat::ParseFromString(text, message))
      throw std::runtime_error("the script's request does not parse: " + text);
    frame_.into(message);
  }

  std::string answer(const grpc::Status& status, const google::protobuf::Message& message) {
    return (status.ok() ? normaliser_.text(message) : normaliser_.status(status)) + "\n";
  }

  std::string unary(const std::string& method, const std::string& text) {
    auto request = caller_.request_of(method);
    if (request == nullptr) throw std::runtime_error("the script calls an unknown method: " + method);
    parse_into(text, request.get());
    auto result = caller_.call(method, *request, std::exchange(metadata_, {}));
    return answer(result.status, *result.message);
  }

  std::string raw(const Words& words) {
    std::string bytes;
    const grpc::Status status =
        caller_.call_raw(words[0], words.size() > 1 ? from_hex(words[1]) : "", &bytes);
    return (status.ok() ? "bytes " + std::to_string(bytes.size()) : normaliser_.status(status)) + "\n";
  }

  std::string range_stream(const std::string& text) {
    auto stub = api::KV::NewStub(caller_.channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallLimit);
    auto stream = stub->RangeStream(&context, parse<api::RangeRequest>(text));
    api::RangeResponse whole;
    api::RangeStreamResponse part;
    std::string complaints;
    bool last = false;
    while (stream->Read(&part)) {
      if (last) complaints += "MORE: a part after the one with the header\n";
      last = part.range_response().has_header();
      whole.MergeFrom(part.range_response());
    }
    const grpc::Status status = stream->Finish();
    if (status.ok() && !last) complaints += "HEADER: the last part has none\n";
    return complaints + answer(status, whole);
  }

  std::string keep_alive(const std::string& text) {
    auto stub = api::Lease::NewStub(caller_.channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallLimit);
    auto stream = stub->LeaseKeepAlive(&context);
    stream->Write(parse<api::LeaseKeepAliveRequest>(text));
    api::LeaseKeepAliveResponse response;
    const bool got = stream->Read(&response);
    stream->WritesDone();
    const grpc::Status status = stream->Finish();
    return got ? normaliser_.text(response) + "\n" : normaliser_.status(status) + "\n";
  }

  // ---- Watches
  // -------------------------------------------------------------------------------------------------------

  WatchStream& watch(const std::string& name) {
    auto found = watches_.find(name);
    if (found == watches_.end()) throw std::runtime_error("the script did not open " + name);
    return *found->second;
  }

  std::string open(const std::string& name) {
    watches_[name] = std::make_unique<WatchStream>(caller_.channel());
    return "";
  }

  std::string send(const Words& words) {
    watch(words[0]).send(parse<api::WatchRequest>(words.size() > 1 ? words[1] : ""));
    return "";
  }

  static bool is_progress(const api::WatchResponse& r) { return r.watch_id() == -1 && !r.created(); }

  // The next answer that is none to a repeated question for progress.
  bool next(WatchStream& stream, api::WatchResponse* response) {
    do {
      if (!stream.next(response)) return false;
    } while (is_progress(*response));
    return true;
  }

  std::string nothing(WatchStream& stream) {
    if (!stream.ended()) return "NOTHING within the limit\n";
    return "END " + normaliser_.status(stream.finish()) + "\n";
  }

  std::string receive(const Words& words) {
    WatchStream& stream = watch(words[0]);
    std::string out;
    for (int left = words.size() > 1 ? std::stoi(words[1]) : 1; left > 0; --left) {
      api::WatchResponse response;
      if (!next(stream, &response)) return out + nothing(stream);
      out += normaliser_.text(response) + "\n";
    }
    return out;
  }

  std::string events(const Words& words) {
    WatchStream& stream = watch(words[0]);
    EventList list(normaliser_);
    while (list.count() < std::stoul(words[1])) {
      api::WatchResponse response;
      if (!next(stream, &response)) return list.text() + nothing(stream);
      if (response.events().empty()) return list.text() + normaliser_.text(response) + "\n";
      list.add(response);
    }
    return list.text();
  }

  // etcd drops the question silently while a watch is behind: it is asked again.
  std::string progress(WatchStream& stream) {
    api::WatchRequest request;
    request.mutable_progress_request();
    std::string out;
    for (int tries = 0; tries < 20; ++tries) {
      stream.send(request);
      api::WatchResponse response;
      while (stream.next(&response, Millis(500))) {
        out += normaliser_.text(response) + "\n";
        if (is_progress(response)) return out;
      }
    }
    return out + nothing(stream);
  }

  // ---- The rest
  // ------------------------------------------------------------------------------------------------------

  std::string add_metadata(const std::string& text) {
    const size_t equals = text.find('=');
    metadata_.emplace(text.substr(0, equals), text.substr(equals + 1));
    return "";
  }

  std::string expire(int64_t id) {
    api::LeaseTimeToLiveRequest request;
    request.set_id(id);
    const bool gone = wait_until(Millis(30000), [&] {
      auto result = caller_.call("LeaseTimeToLive", request);
      return result.status.ok() && static_cast<api::LeaseTimeToLiveResponse&>(*result.message).ttl() == -1;
    });
    return gone ? "gone\n" : "STILL THERE\n";
  }

  std::string fill(const Words& words) {
    for (int i = 0; i < std::stoi(words[1]); ++i) {
      char number[16];
      snprintf(number, sizeof number, "%04d", i);
      api::PutRequest request;
      request.set_key(words[0] + number);
      request.set_value(std::string(std::stoul(words[2]), static_cast<char>('a' + i % 26)));
      auto result = caller_.call("Put", request);
      if (!result.status.ok()) return normaliser_.status(result.status) + "\n";
    }
    return "";
  }

  UnaryCaller caller_;
  Frame frame_;
  Identity identity_;
  Normaliser normaliser_;
  std::map<std::string, std::unique_ptr<WatchStream>> watches_;
  std::multimap<std::string, std::string> metadata_;
};

}  // namespace

Transcript run_grpc_script(const Script& script, const Server& server, const Frame& frame) {
  Transcript transcript;
  Runner runner(server, frame);
  for (const std::string& line : script.lines) transcript.push_back({line, runner.run(line)});
  return transcript;
}

}  // namespace quorate::test
