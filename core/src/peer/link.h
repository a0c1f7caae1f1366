// One lane to one other member: the connection, its Hello, its stream of frames, and the next try when it
// breaks.
//
//   waiting ─▶ dialling ─▶ greeting (Hello) ─▶ open
//      ▲───────────┴─────────────┴──────────────┘   on any failure, after a pause that grows from 50 ms to 1
//      s
//
// [loop] A link that is not open takes nothing: Raft's messages may be lost, and it sends again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/errors.h"
#include "peer/frame.h"
#include "peer/hello.h"
#include "quorate/dialer.h"
#include "quorate/runtime.h"

namespace quorate::peer {

// The answer to a unary call: an ok error and the reply's bytes, or what went wrong. A call whose connection
// broke, or whose time was over, may or may not have had its effect.
using Reply = UniqueFunction<void(const api::RpcError&, plugin::Buffer)>;

class Link {
 public:
  struct Hooks {
    std::function<Hello()> hello;  // what to say now
    std::function<void(const Welcome&)> on_open;
    // An open link broke, or a try failed. `refused`: the other side's machine answered that nobody listens
    // there, which a process that died brings about and a network that is cut does not.
    std::function<void(const plugin::Status& why, bool was_open, bool refused)> on_down;
    std::function<void(const api::RpcError&)> on_refused;  // the other member does not want us
  };
  // `runtime` and `dialer` are borrowed. Dials once it has URLs.
  Link(const Runtime& runtime, Dialer& dialer, plugin::Lane lane, Hooks hooks);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Where the member may be reached; tried in turn. Others than before: a connection to the old ones is given
  // up.
  void set_urls(std::vector<std::string> urls);
  bool is_open() const { return open_; }

  // Adds to what leaves with the next flush(). False: the link is not open, or more than kMaxBacklog waits
  // for the network; the message is dropped.
  static constexpr uint64_t kMaxBacklog = 16u << 20;
  bool send(const raft::Message& message);
  void flush();

  // A unary call; `done` runs once, never inside this call. deadline_ns: on the loop's clock.
  void call(std::string_view method, plugin::Buffer request, uint64_t deadline_ns, Reply done);

 private:
  class Attempt;
  class HelloReader;
  class MessagesReader;
  class CallReader;

  void dial();
  void retry();
  void write_frame();
  // From the attempt, the current one only.
  void opened(const Welcome& welcome);
  void refused(const api::RpcError& error);
  void ended(const plugin::Status& why);
  uint64_t random(uint64_t bound);

  const Runtime runtime_;
  Dialer& dialer_;
  const plugin::Lane lane_;
  const Hooks hooks_;
  std::vector<std::string> urls_;
  size_t next_url_ = 0;
  uint64_t pause_ns_ = 0;  // before the next try
  uint64_t opened_ns_ = 0;
  TimerId timer_ = 0;
  std::shared_ptr<Attempt> attempt_;
  bool open_ = false;
  FrameWriter frame_;
};

}  // namespace quorate::peer
