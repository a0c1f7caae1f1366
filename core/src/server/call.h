// A client's call on the server's side: what it asked, when its time is over, and how it is answered.
//
// [loop] Ref-counted by the transport (it is the call's StreamReader) and by whatever work is under way for
// it. Once it has ended, by an answer or by the client, answering again does nothing.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/errors.h"
#include "api/methods.h"
#include "quorate/base/function.h"
#include "quorate/plugin/transport.h"

namespace quorate::server {

class Server;

using AutoUnlink = boost::intrusive::link_mode<boost::intrusive::auto_unlink>;
using DeadlineHook = boost::intrusive::set_base_hook<AutoUnlink, boost::intrusive::tag<struct DeadlineTag>>;
using OpenHook = boost::intrusive::list_base_hook<AutoUnlink, boost::intrusive::tag<struct OpenTag>>;

class Call : public plugin::Counted<plugin::StreamReader>, public DeadlineHook, public OpenHook {
 public:
  Call(Server& server, const api::Method& method, const plugin::CallInfo& info, plugin::ServerWriter* writer);

  const api::Method& method() const { return method_; }
  bool ended() const { return ended_; }
  bool require_leader() const { return require_leader_; }
  plugin::ServerWriter& writer() { return *writer_; }

  // The only message of a unary call, or one more of a stream.
  void send(plugin::Buffer message);
  void finish(const api::RpcError& error);  // an ok error: success
  void finish_ok() { finish(api::RpcError()); }

  // To be asked before a large answer is put together: whether the client's connection may hold so much more.
  // Where it may not now, the client has answers to read: wait_for_room() makes the attempt again soon, and
  // ends the call with `otherwise` when it has waited for long.
  bool has_room_for(uint64_t bytes);
  static constexpr uint64_t kPatienceForRoom = 6'000'000'000;  // ns; below the limit of a request
  void wait_for_room(UniqueFunction<void()> again, const api::RpcError& otherwise,
                     uint64_t patience_ns = kPatienceForRoom);
  static api::RpcError no_room(uint64_t bytes);

  // Its time is over. Unary calls that wait for the cluster get etcd's own time-out, too: whichever comes
  // first.
  void expire();
  uint64_t deadline_ns() const { return deadline_ns_; }

  void on_headers(plugin::View<plugin::Header>) noexcept override {}
  void on_half_close() noexcept override {}
  void on_writable() noexcept override {}
  void on_end(const plugin::End& end) noexcept override;

 protected:
  ~Call() override;
  // From now on the server's own time limit counts, too: as in etcd, once the request is there.
  void limit_time();
  // It counts no more.
  void forget_deadline();
  // The client went away, or finish() was called. Last chance to let go of what the call holds.
  virtual void ended_now() {}
  Server& server() { return server_; }
  // Where the call comes from; empty once the transport has let go of it.
  plugin::ByteView remote_address() const;

 private:
  void end();

  Server& server_;
  const api::Method& method_;
  plugin::Ref<plugin::ServerWriter> writer_;
  plugin::Connection* connection_;  // borrowed from the transport until on_end; may be null
  uint64_t deadline_ns_ = 0;        // 0: none
  uint64_t waits_since_ns_ = 0;     // for room; 0: it has not
  bool deadline_is_ours_ = false;
  bool require_leader_ = false;
  bool ended_ = false;
};

// A unary call: dispatches its one message.
class UnaryCall final : public Call {
 public:
  using Call::Call;
  void on_message(plugin::Buffer message) noexcept override;
  void on_half_close() noexcept override;
  // The answer, and success.
  void reply(plugin::Buffer message);
  // The answer is on its way, bit by bit: only the client's own patience limits it from here on. `more` is
  // called when the client has read enough of what is queued, until the call ends.
  void answer_slowly(UniqueFunction<void()> more);
  void on_writable() noexcept override {
    if (more_) more_();
  }
  // The request's bytes: what decoded views point into. Lives as long as the call.
  const plugin::Buffer& message() const { return message_; }

 private:
  void ended_now() override;

  plugin::Buffer message_;
  const plugin::Buffer* response_ = nullptr;  // while reply() ends the call
  UniqueFunction<void()> more_;
  uint64_t began_ns_ = 0;
  bool dispatched_ = false;
};

// The calls that have a deadline, the nearest first; and all that are open, the oldest first.
struct ByDeadline {
  bool operator()(const Call& a, const Call& b) const { return a.deadline_ns() < b.deadline_ns(); }
};
using DeadlineSet = boost::intrusive::multiset<Call, boost::intrusive::base_hook<DeadlineHook>,
                                               boost::intrusive::compare<ByDeadline>,
                                               boost::intrusive::constant_time_size<false>>;
using OpenList = boost::intrusive::list<Call, boost::intrusive::base_hook<OpenHook>,
                                        boost::intrusive::constant_time_size<false>>;

}  // namespace quorate::server
