// Watches: who is told of which changes. etcd-surface §1.4.
//
// A hash finds the watchers of a single key and an interval tree those of ranges; each event is encoded once
// and shared by all who get it; a stream gets one response per watcher and round. Every stream's queue is
// bounded: a watcher whose stream is full, or that starts in the past, is *unsynced*, remembers the next
// revision it needs and reads history from there; unsynced watchers share one scan. So a slow client costs
// bounded memory and never slows a write.
//
//   publish ─▶ index ─▶ pending of synced watchers ─▶ (end of round) ─▶ one response each
//   unsynced ─▶ recent events in memory, else Store::history ─▶ caught up ─▶ synced
//
// What every watcher is promised: its events come ordered by revision, without gaps and without duplicates,
// all events of one revision in one response (or its fragments).
//
// [loop]
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/messages.h"
#include "mvcc/store.h"
#include "quorate/runtime.h"
#include "watch/interval_tree.h"
#include "wire/writer.h"

namespace quorate::watch {

struct Options {
  uint64_t progress_interval_ns = 600'000'000'000;
  uint64_t max_response_bytes = 2u << 20;     // larger ones are split where the watcher asked for fragments
  uint64_t stream_buffer_bytes = 512u << 10;  // queued per stream; beyond, its watchers fall behind
  // Between two rounds of sending: so long per message that the last one sent, at most the second. A change
  // that few watch is sent at once; what many watch in quick succession travels together, since each message
  // and each packet costs more than what it carries.
  uint64_t round_ns_per_message = 50'000;
  uint64_t round_ns_max = 5'000'000;
  uint64_t recent_bytes = 4u << 20;   // of events kept in memory for watchers that are a little behind
  uint64_t history_bytes = 1u << 20;  // read at once for those further behind
};

// An event as it goes into responses: the whole `events` field of a WatchResponse, encoded once.
struct EncodedEvent {
  int64_t revision = 0;
  bool is_delete = false;
  plugin::Buffer plain;
  plugin::Buffer with_previous;  // empty until a watcher asked for it, and where it equals `plain`
};
using EventRef = std::shared_ptr<EncodedEvent>;

// Where a stream's responses go: a call.
class StreamSink {
 public:
  virtual void send(plugin::View<plugin::Buffer> message) = 0;
  virtual uint64_t queued_bytes() = 0;
  // Memory that the stream's watchers take. False: over the client's budget.
  virtual bool charge(int64_t bytes) = 0;

 protected:
  ~StreamSink() = default;
};

class Hub;
class Stream;
struct Group;

using ListHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

struct Watcher : ListHook {  // on the hub's list of unsynced watchers, or on none
  Stream* stream = nullptr;
  Group* group = nullptr;
  uint32_t place = 0;  // in the group
  bool wants_puts = true, wants_deletes = true, previous = false, fragment = false, progress = false;
  bool quiet = false;     // nothing was sent since the stream's last progress tick
  bool scanning = false;  // takes part in the history scan that is under way
  int64_t id = 0;
  int64_t next = 0;  // the first revision it still needs
  std::vector<EventRef> pending;
  bool synced() const { return !is_linked(); }
};

// Watchers of the same keys.
struct Group {
  std::string begin, end;  // as the client gave them
  std::vector<Watcher*> watchers;
};

// One client's Watch call. Made by Hub::open; destroying it ends its watches.
class Stream {
 public:
  Stream(Hub& hub, StreamSink& sink) : hub_(hub), sink_(sink) {}
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Each answers through the sink. False: the client is over its budget; nothing was answered.
  bool create(const api::WatchCreateRequest&);
  void cancel(int64_t id);
  void request_progress();
  // The sink has room again.
  void on_writable();

 private:
  friend class Hub;
  bool full() const { return sink_.queued_bytes() >= buffer_limit(); }
  uint64_t buffer_limit() const;
  int64_t choose_id();
  void refuse(std::string_view reason);
  void respond(const api::WatchResponse& response);
  void send_dirty();
  void send_events(Watcher& watcher);
  void drop(Watcher& watcher);
  void progress_tick();
  void arm_progress();

  Hub& hub_;
  StreamSink& sink_;
  std::unordered_map<int64_t, std::unique_ptr<Watcher>> watchers_;
  std::vector<Watcher*> dirty_;  // have pending events
  int64_t next_id_ = 0;
  uint64_t unsynced_ = 0;
  TimerId progress_timer_ = 0;
  bool on_dirty_list_ = false;
  bool blocked_ = false;  // waits for on_writable
};

class Hub {
 public:
  // Writes field 1, the header of a response, with that revision.
  using HeaderFn = std::function<void(wire::Writer&, int64_t revision)>;
  Hub(const Runtime& runtime, mvcc::Store& store, const Options& options, HeaderFn header);
  ~Hub();

  // The changes of one applied entry, in order. Lives for the call.
  void publish(std::span<const mvcc::Event> events);

  uint64_t watchers() const { return watcher_count_; }
  uint64_t unsynced() const { return unsynced_.size(); }

 private:
  friend class Stream;
  using UnsyncedList = boost::intrusive::list<Watcher, boost::intrusive::constant_time_size<false>>;

  Group& group_of(const api::Interval& interval);
  void add(Watcher& watcher, const api::Interval& interval);
  void remove(Watcher& watcher);
  void unsync(Watcher& watcher);
  void sync(Watcher& watcher);

  template <typename Visit>
  void match(std::string_view key, Visit&& visit);
  void offer(Watcher& watcher, const EventRef& event, const std::function<bool(EncodedEvent&)>& add_previous);
  void mark_dirty(Watcher& watcher);
  void remember(EventRef event, std::string_view key);
  void schedule_round();
  void round();

  void schedule_catch_up();
  void catch_up();
  bool from_recent(Watcher& watcher);
  void scan(int64_t from, bool with_previous);
  void on_history(mvcc::Store::History history);
  void deliver_history(mvcc::Store::History& history, std::span<const mvcc::Record> previous);
  void cancel_compacted(Watcher& watcher);

  const Runtime runtime_;
  mvcc::Store& store_;
  const Options options_;
  HeaderFn header_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::unordered_map<std::string, std::unique_ptr<Group>> points_;
  IntervalTree<std::unique_ptr<Group>> ranges_;
  uint64_t watcher_count_ = 0;
  UnsyncedList unsynced_;
  std::vector<Stream*> dirty_;
  bool round_scheduled_ = false;
  uint64_t next_round_ns_ = 0;  // not before
  uint64_t messages_in_round_ = 0;
  std::vector<plugin::Buffer> message_;  // being put together; kept for its memory

  struct Recent {
    EventRef event;
    std::string key;
    // What was before counts: deletes are small, and what they remove is not. Nobody adds it later.
    uint64_t size() const { return event->plain.size() + event->with_previous.size() + key.size(); }
  };
  std::deque<Recent> recent_;
  uint64_t recent_bytes_ = 0;
  int64_t recent_from_ = 0;  // every event of a revision from here on is in recent_

  bool scan_under_way_ = false;
  bool catch_up_scheduled_ = false;
};

}  // namespace quorate::watch
