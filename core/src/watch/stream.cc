// One client's Watch call.
#include <algorithm>

#include "api/errors.h"
#include "watch/hub.h"
#include "wire/codec.h"

namespace quorate::watch {
namespace {

constexpr int64_t kNoId = -1;
constexpr std::string_view kDuplicateId = "mvcc: duplicate watch ID provided on the WatchStream";
constexpr std::string_view kEmptyRange = "mvcc: watcher range is empty";
// What a watcher is charged: each byte of its range, which the index holds up to three times, and a part
// of what it takes else (420 bytes for a key, 590 for a range, measured as memory of the process). Idle
// watches are what the service is for: one connection may have 100,000, which is more than it may hold of
// anything else.
constexpr int64_t kWatcherBytes = 96;
constexpr int64_t kRangeCopies = 3;
int64_t cost_of(std::string_view key, std::string_view range_end) {
  return kWatcherBytes + kRangeCopies * static_cast<int64_t>(key.size() + range_end.size());
}
int64_t cost_of(const Group& group) { return cost_of(group.begin, group.end); }

constexpr size_t kPendingKept = 16;  // events
// Room for a response's head without a second allocation: the longest header, and what the writer reserves
// ahead.
constexpr size_t kHeadBytes = 96;

}  // namespace

Stream::~Stream() {
  hub_.runtime_.executor->cancel(progress_timer_);
  int64_t cost = 0;
  for (auto& [id, watcher] : watchers_) {
    cost += cost_of(*watcher->group);
    hub_.remove(*watcher);
  }
  sink_.charge(-cost);
  std::replace(hub_.dirty_.begin(), hub_.dirty_.end(), this, static_cast<Stream*>(nullptr));
}

uint64_t Stream::buffer_limit() const { return hub_.options_.stream_buffer_bytes; }

void Stream::respond(const api::WatchResponse& response) {
  wire::Writer out;
  hub_.header_(out, hub_.store_.revision());
  wire::encode(response, out);
  plugin::Buffer message = out.take();
  sink_.send({&message, 1});
}

void Stream::refuse(std::string_view reason) {
  respond({.watch_id = kNoId, .created = true, .canceled = true, .cancel_reason = reason});
}

int64_t Stream::choose_id() {
  while (watchers_.contains(next_id_)) ++next_id_;
  return next_id_++;
}

bool Stream::create(const api::WatchCreateRequest& r) {
  if (r.start_revision < 0) {
    refuse(api::info(api::Error::kCompacted).text);
    return true;
  }
  const std::string_view key = r.key.empty() ? std::string_view("\0", 1) : r.key;
  const api::Interval interval = api::Interval::of(key, r.range_end);
  if (interval.empty()) {
    refuse(kEmptyRange);
    return true;
  }
  if (r.watch_id != 0 && watchers_.contains(r.watch_id)) {
    refuse(kDuplicateId);
    return true;
  }
  const int64_t cost = cost_of(key, r.range_end);
  if (!sink_.charge(cost)) {
    sink_.charge(-cost);  // a refused charge counts, too
    return false;
  }
  auto watcher = std::make_unique<Watcher>();
  Watcher& w = *watcher;
  w.stream = this;
  w.id = r.watch_id != 0 ? r.watch_id : choose_id();
  w.previous = r.prev_kv;
  w.fragment = r.fragment;
  w.progress = r.progress_notify;
  w.quiet = true;
  for (auto filter : r.filters) {
    if (filter == api::WatchCreateRequest::FilterType::kNoPut) w.wants_puts = false;
    if (filter == api::WatchCreateRequest::FilterType::kNoDelete) w.wants_deletes = false;
  }
  const int64_t current = hub_.store_.revision();
  w.next = r.start_revision == 0 ? current + 1 : r.start_revision;
  hub_.add(w, interval);
  watchers_.emplace(w.id, std::move(watcher));
  respond({.watch_id = w.id, .created = true});
  if (w.next <= current) {
    hub_.unsync(w);
    hub_.schedule_catch_up();
  }
  if (w.progress) arm_progress();
  return true;
}

void Stream::drop(Watcher& w) {
  std::replace(dirty_.begin(), dirty_.end(), &w, static_cast<Watcher*>(nullptr));
  const int64_t cost = cost_of(*w.group);
  hub_.remove(w);
  const int64_t id = w.id;
  watchers_.erase(id);
  sink_.charge(-cost);
}

void Stream::cancel(int64_t id) {
  auto at = watchers_.find(id);
  if (at == watchers_.end()) return;
  // What it was already owed goes first: a client that resumes elsewhere counts on it.
  send_events(*at->second);
  drop(*at->second);
  respond({.watch_id = id, .canceled = true});
}

// Answered only when it is true of every watcher of the stream; clients ask again (etcd-surface §1.4).
void Stream::request_progress() {
  const int64_t current = hub_.store_.revision();
  if (watchers_.empty() || unsynced_ != 0 || blocked_) return;
  for (const auto& [id, w] : watchers_) {
    if (w->next > current + 1) return;
  }
  send_dirty();
  if (dirty_.empty()) respond({.watch_id = kNoId});
}

// ---- Events
// ----------------------------------------------------------------------------------------------------------

// Until the stream is full: the rest is sent when its client has read. However many watchers are behind, no
// more than one of them goes over the buffer's limit.
void Stream::send_dirty() {
  size_t sent = 0;
  for (; sent < dirty_.size() && !blocked_; ++sent) {
    if (dirty_[sent] != nullptr) send_events(*dirty_[sent]);
  }
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<ptrdiff_t>(sent));
}

void Stream::send_events(Watcher& w) {
  if (w.pending.empty()) return;
  const std::vector<EventRef>& events = w.pending;
  w.next = std::max(w.next, events.back()->revision + 1);
  w.quiet = false;
  std::vector<plugin::Buffer>& message = hub_.message_;
  const int64_t revision = hub_.store_.revision();
  size_t at = 0;
  while (at < events.size()) {
    message.clear();
    message.emplace_back();  // the head, once it is known whether this is all
    uint64_t size = 0;
    for (; at < events.size(); ++at) {
      const plugin::Buffer& event = w.previous ? events[at]->with_previous : events[at]->plain;
      if (w.fragment && message.size() > 1 && size + event.size() >= hub_.options_.max_response_bytes) break;
      size += event.size();
      message.push_back(event);
    }
    wire::Writer head(kHeadBytes);
    hub_.header_(head, revision);
    head.varint_field(2, static_cast<uint64_t>(w.id));
    head.varint_field(7, at < events.size());
    message[0] = head.take();
    sink_.send({message.data(), message.size()});
    ++hub_.messages_in_round_;
  }
  message.clear();
  w.pending.clear();  // its memory serves the next events, unless this was a burst
  if (w.pending.capacity() > kPendingKept) w.pending.shrink_to_fit();
  if (full()) blocked_ = true;
  if (!w.synced() && !blocked_) hub_.schedule_catch_up();
}

void Stream::on_writable() {
  blocked_ = false;
  send_dirty();
  if (unsynced_ != 0 && !blocked_) hub_.schedule_catch_up();
}

// ---- Progress by itself
// ----------------------------------------------------------------------------------------------

void Stream::arm_progress() {
  if (progress_timer_ != 0) return;
  Executor& executor = *hub_.runtime_.executor;
  // Up to a tenth of jitter, so that watchers made together do not report together.
  uint64_t random = 0;
  hub_.runtime_.random->fill(&random, sizeof random);
  const uint64_t interval = hub_.options_.progress_interval_ns;
  progress_timer_ =
      executor.at(executor.clock().monotonic_ns() + interval + random % (interval / 10 + 1), [this] {
        progress_timer_ = 0;
        progress_tick();
      });
}

void Stream::progress_tick() {
  const int64_t current = hub_.store_.revision();
  bool any = false;
  std::vector<int64_t> idle;
  for (const auto& [id, w] : watchers_) {
    if (!w->progress) continue;
    any = true;
    if (w->quiet && w->synced() && w->pending.empty() && w->next <= current + 1 && !blocked_)
      idle.push_back(w->id);
    w->quiet = true;
  }
  std::sort(idle.begin(), idle.end());  // the table's own order must not show
  for (int64_t id : idle) respond({.watch_id = id});
  if (any) arm_progress();
}

}  // namespace quorate::watch
