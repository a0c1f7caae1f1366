// The other members, as this one talks to them: a control and an append lane to each, Raft's messages out and
// in, and calls. Snapshots have the bulk lane to themselves (snapshot/).
//
// [loop] Messages given to send() leave at flush(), once per turn of the loop. Messages may be lost; a call's
// outcome may stay unknown; nothing arrives that its frame's checksum does not vouch for.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "peer/acceptor.h"
#include "peer/link.h"

namespace quorate::peer {

struct Self {
  ClusterId cluster;
  MemberId member;
  std::string node_id;   // of the log
  std::string software;  // version
};

// What one member can prove, or remembers, to have been promised by a member.
struct Promised {
  Term term;
  Index last_index;
};

class Peers {
 public:
  struct Hooks {
    std::function<void(MemberId from, raft::Message)> on_message;
    std::function<bool(Request, Answer)> on_request;  // false: unknown method
    // What this member has durably promised, for its Hellos; and what it remembers of another's promises.
    std::function<Promised()> own_promises;
    std::function<Promised(MemberId)> remembered;
    // A member greeted us, or answered our greeting.
    std::function<void(MemberId, const Hello&)> on_greeted;
    std::function<void(MemberId, const Welcome&)> on_welcome;
    // Its process is gone: the connection closed, and a new one was refused.
    std::function<void(MemberId)> on_gone;
    // Messages to it were lost.
    std::function<void(MemberId)> on_unreachable;
    // A member says that we were removed.
    std::function<void(MemberId)> on_removed;
  };
  // Borrows `dialer`; `runtime`'s parts, too.
  Peers(const Runtime& runtime, Dialer& dialer, Self self, Hooks hooks);
  ~Peers();

  // Adds a member or changes its URLs.
  void set(MemberId member, const std::vector<std::string>& urls);
  // Forgets it; a member that is `removed` is refused from now on, and its connections end.
  void remove(MemberId member, bool removed);

  void send(raft::Envelope envelope);
  void flush();
  void call(MemberId to, std::string_view method, plugin::Buffer request, uint64_t deadline_ns, Reply done);

  // Since when the control lane to it is open, on the loop's clock; 0: it is not.
  uint64_t connected_since_ns(MemberId member) const;

  // Calls of other members (methods.h), from listeners of role peer.
  void on_call(const plugin::CallInfo& info, plugin::ServerWriter* writer, plugin::StreamReader** out) {
    acceptor_.on_call(info, writer, out);
  }
  // Lets go of everybody.
  void stop(const api::RpcError& why);

 private:
  struct Peer;
  std::optional<api::RpcError> judge_hello(const Hello& hello, Welcome* welcome);
  Hello hello_to(MemberId member, plugin::Lane lane) const;
  std::unique_ptr<Link> link_to(MemberId member, plugin::Lane lane);
  void link_down(MemberId member, plugin::Lane lane, const plugin::Status& why, bool was_open, bool refused);
  void refused(MemberId member, const api::RpcError& error);
  void say(LogLevel level, std::string_view message, MemberId member, std::string_view detail);

  const Runtime runtime_;
  Dialer& dialer_;
  const Self self_;
  const Hooks hooks_;
  std::map<MemberId, std::unique_ptr<Peer>> peers_;
  std::set<MemberId> removed_;
  std::vector<std::unique_ptr<Peer>>
      forgotten_;  // until the end of the turn: their links may be on the stack
  std::string last_refusal_;
  Acceptor acceptor_;
  bool stopped_ = false;
};

}  // namespace quorate::peer
