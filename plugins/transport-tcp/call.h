// One call of a session, and the lists and the table that calls are kept in.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "inbox.h"
#include "quorate/plugin/transport.h"
#include "quorate/plugin/transport_support.h"
#include "send_queue.h"

namespace quorate::tcp {

class SessionCore;
struct Call;

// A list of calls, linked through one of their members.
struct Links {
  Call* next = nullptr;
  Call* previous = nullptr;
  const void* owner = nullptr;  // the list; null: in none
};

template <Links Call::*kMember>
class CallList;

// State shared by both sides. Lives as long as its session holds it; core's references keep only the memory.
struct Call {
  SessionCore* session = nullptr;  // null once the call has left: the Writer's methods do nothing then
  uint32_t id = 0;                 // 0: no OPEN has been sent yet
  plugin::StreamReader* reader = nullptr;  // one reference; null after on_end
  Links all;
  Links turn;  // of those with something to send, or (client) those that wait for a slot

  // Incoming.
  Inbox in;
  uint64_t credit = 1;
  plugin::Buffer block;                  // OPEN's payload, or FINISH's while messages wait
  std::vector<plugin::Header> metadata;  // views into it
  bool remote_closed = false;            // the client sends no more, or the server has finished
  bool half_close_told = false;
  bool headers_told = false;
  bool discarding = false;  // what still arrives is of no use

  // Outgoing.
  std::string first_block;  // OPEN's or HEADERS' payload, until it is sent
  bool block_wanted = false;
  SendQueue out;
  int64_t window_bytes = 0;  // what the peer takes
  int64_t window_messages = 0;
  bool finishing = false;   // nothing follows what is queued
  bool end_sent = false;    // FINISH, HALF_CLOSE or the flag was sent
  bool above_mark = false;  // on_writable is owed when the queue falls

  bool ended = false;  // on_end was called, or there was never a reader
  bool in_deferred_list = false;
  bool wants_pump = false;
  bool wants_writable = false;
  uint64_t accounted = 0;  // bytes this call adds to the session's charge

  // A client's: how the call ends when we decide it, told from the next flush.
  bool has_local_end = false;
  plugin::EndCause local_cause = plugin::EndCause::kFinished;
  uint32_t local_code = 0;
  std::string local_text;

  virtual void release_call() noexcept = 0;
  virtual bool only_reference() const noexcept = 0;

 protected:
  ~Call() = default;
  void reset_call();
};

template <Links Call::*kMember>
class CallList {
 public:
  Call* front() const { return first_; }
  bool empty() const { return first_ == nullptr; }
  bool has(const Call* call) const { return (call->*kMember).owner == this; }
  void push_back(Call* call) {
    Links& links = call->*kMember;
    links = {nullptr, last_, this};
    (last_ != nullptr ? (last_->*kMember).next : first_) = call;
    last_ = call;
  }
  void remove(Call* call) {
    Links& links = call->*kMember;
    (links.previous != nullptr ? (links.previous->*kMember).next : first_) = links.next;
    (links.next != nullptr ? (links.next->*kMember).previous : last_) = links.previous;
    links = {};
  }

 private:
  Call* first_ = nullptr;
  Call* last_ = nullptr;
};

// Calls by id. Open addressing; ids are a peer's choice only in which of them stay open.
class CallTable {
 public:
  Call* find(uint32_t id) const;
  void insert(Call* call);
  void erase(uint32_t id);
  uint64_t size() const { return size_; }

 private:
  uint64_t place(uint32_t id) const { return (id * 0x9e3779b97f4a7c15u) >> shift_; }
  void grow();
  std::vector<Call*> slots_;
  uint64_t size_ = 0;
  uint32_t shift_ = 64;
};

template <typename Interface>
using SharedCall = plugin::SharedCall<Interface, Call>;

}  // namespace quorate::tcp
