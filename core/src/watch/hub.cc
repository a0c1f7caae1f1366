// From applied changes to responses; and watchers that are behind. A stream's own requests: stream.cc.
#include "watch/hub.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate::watch {
namespace {

std::string_view view(plugin::ByteView bytes) { return {bytes.chars(), bytes.size}; }

// WatchResponse.events (11) around an Event of type (1), kv (2) and prev_kv (3).
plugin::Buffer encode_event(bool is_delete, std::string_view kv, std::string_view previous) {
  size_t size = is_delete ? 2 : 0;
  size += wire::bytes_field_size(2, kv.size());
  if (!previous.empty()) size += wire::bytes_field_size(3, previous.size());
  wire::Writer out(wire::bytes_field_size(11, size));
  out.message_header(11, size);
  out.varint_field(1, is_delete);
  out.message_field(2, kv);
  if (!previous.empty()) out.message_field(3, previous);
  return out.take();
}

EventRef encode(const mvcc::Event& event) {
  auto encoded = std::make_shared<EncodedEvent>();
  encoded->revision = event.revision.main;
  encoded->is_delete = event.is_delete;
  encoded->plain = encode_event(event.is_delete, view(event.record.view()), {});
  return encoded;
}

// Ends history before what its changes replaced takes more than max_bytes: small changes may have replaced
// large values. Whole revisions stay, and at least one.
void bound_previous(mvcc::Store::History& history, uint64_t max_bytes) {
  uint64_t size = 0;
  auto revision = history.events.begin();  // where the current one begins
  for (auto at = revision; at != history.events.end(); ++at) {
    if (at->revision.main != revision->revision.main) {
      if (size >= max_bytes) {
        history.next = at->revision.main;
        history.events.erase(at, history.events.end());
        return;
      }
      revision = at;
    }
    if (at->previous) size += at->previous->record_size;
  }
}

}  // namespace

Hub::Hub(const Runtime& runtime, mvcc::Store& store, const Options& options, HeaderFn header)
    : runtime_(runtime),
      store_(store),
      options_(options),
      header_(std::move(header)),
      recent_from_(store.revision() + 1) {
  store_.collect_events(false);
}

Hub::~Hub() { *alive_ = false; }

// ---- The index
// -------------------------------------------------------------------------------------------------------

Group& Hub::group_of(const api::Interval& interval) {
  std::unique_ptr<Group>& group =
      interval.is_point() ? points_[std::string(interval.begin())] : ranges_[interval];
  if (!group) {
    group = std::make_unique<Group>();
    group->begin = std::string(interval.begin());
    if (interval.is_unbounded()) group->end.assign(1, '\0');
    if (interval.has_end()) group->end = std::string(interval.end());
  }
  return *group;
}

void Hub::add(Watcher& watcher, const api::Interval& interval) {
  Group& group = group_of(interval);
  watcher.group = &group;
  watcher.place = static_cast<uint32_t>(group.watchers.size());
  group.watchers.push_back(&watcher);
  if (++watcher_count_ > 1) return;
  store_.collect_events(true);
  recent_from_ = store_.revision() + 1;
}

void Hub::remove(Watcher& watcher) {
  Group& group = *watcher.group;
  group.watchers.back()->place = watcher.place;
  std::swap(group.watchers[watcher.place], group.watchers.back());
  group.watchers.pop_back();
  if (--watcher_count_ == 0) {
    store_.collect_events(false);
    recent_.clear();
    recent_bytes_ = 0;
  }
  if (!watcher.synced()) sync(watcher);
  if (!group.watchers.empty()) return;
  const api::Interval interval = api::Interval::of(group.begin, group.end);
  if (!interval.is_point()) return ranges_.erase(interval);
  const std::string key = group.begin;
  points_.erase(key);
}

void Hub::unsync(Watcher& watcher) {
  if (!watcher.synced()) return;
  unsynced_.push_back(watcher);
  ++watcher.stream->unsynced_;
}

void Hub::sync(Watcher& watcher) {
  if (watcher.synced()) return;
  watcher.unlink();
  watcher.scanning = false;
  --watcher.stream->unsynced_;
}

template <typename Visit>
void Hub::match(std::string_view key, Visit&& visit) {
  if (!points_.empty()) {
    if (auto at = points_.find(std::string(key)); at != points_.end()) {
      for (Watcher* w : at->second->watchers) visit(*w);
    }
  }
  ranges_.find(key, [&](std::unique_ptr<Group>& group) {
    for (Watcher* w : group->watchers) visit(*w);
  });
}

// ---- Publishing
// ------------------------------------------------------------------------------------------------------

void Hub::publish(std::span<const mvcc::Event> events) {
  for (const mvcc::Event& event : events) {
    EventRef encoded = encode(event);
    // The version before was replaced a moment ago, so its record is nearly always at hand; where it is not,
    // the watcher gets this revision from history.
    auto add_previous = [&](EncodedEvent& e) {
      if (!event.previous) {
        e.with_previous = e.plain;
        return true;
      }
      mvcc::Record record;
      if (!store_.hot(*event.previous, &record)) return false;
      e.with_previous = encode_event(event.is_delete, view(event.record.view()), view(record));
      return true;
    };
    match(event.key, [&](Watcher& w) {
      if (w.synced() && event.revision.main >= w.next) offer(w, encoded, add_previous);
    });
    remember(std::move(encoded), event.key);
  }
}

// Gives a synced watcher one event, or lets it fall behind.
void Hub::offer(Watcher& w, const EventRef& event, const std::function<bool(EncodedEvent&)>& add_previous) {
  if (event->is_delete ? !w.wants_deletes : !w.wants_puts) return;
  const bool fits =
      !w.stream->blocked_ && (!w.previous || !event->with_previous.empty() || add_previous(*event));
  if (fits) {
    w.pending.push_back(event);
    return mark_dirty(w);
  }
  // A revision goes whole or not at all: what is pending of this one waits for history, too.
  while (!w.pending.empty() && w.pending.back()->revision == event->revision) w.pending.pop_back();
  w.next = event->revision;
  unsync(w);
  if (!w.stream->blocked_) schedule_catch_up();
}

void Hub::mark_dirty(Watcher& w) {
  Stream& stream = *w.stream;
  if (w.pending.size() == 1) stream.dirty_.push_back(&w);
  if (!stream.on_dirty_list_) {
    stream.on_dirty_list_ = true;
    dirty_.push_back(&stream);
  }
  schedule_round();
}

void Hub::remember(EventRef event, std::string_view key) {
  recent_.push_back({std::move(event), std::string(key)});
  recent_bytes_ += recent_.back().size();
  while (recent_bytes_ > options_.recent_bytes) {
    // Whole revisions leave.
    const int64_t revision = recent_.front().event->revision;
    while (!recent_.empty() && recent_.front().event->revision == revision) {
      recent_bytes_ -= recent_.front().size();
      recent_.pop_front();
    }
    recent_from_ = revision + 1;
  }
}

// The first event after a pause is sent at the end of this turn; those that follow quickly share a round.
void Hub::schedule_round() {
  if (round_scheduled_) return;
  round_scheduled_ = true;
  auto run = [this, alive = alive_] {
    if (*alive) round();
  };
  if (runtime_.executor->clock().monotonic_ns() >= next_round_ns_) {
    runtime_.executor->defer(run);
  } else {
    runtime_.executor->at(next_round_ns_, run);
  }
}

void Hub::round() {
  round_scheduled_ = false;
  messages_in_round_ = 0;
  std::vector<Stream*> streams;
  streams.swap(dirty_);
  for (Stream* stream : streams) {
    if (stream == nullptr) continue;  // closed meanwhile
    stream->on_dirty_list_ = false;
    stream->send_dirty();
  }
  next_round_ns_ = runtime_.executor->clock().monotonic_ns() +
                   std::min(messages_in_round_ * options_.round_ns_per_message, options_.round_ns_max);
}

// ---- Catching up
// -----------------------------------------------------------------------------------------------------

void Hub::schedule_catch_up() {
  if (catch_up_scheduled_ || scan_under_way_) return;
  catch_up_scheduled_ = true;
  runtime_.executor->post([this, alive = alive_] {
    if (!*alive) return;
    catch_up_scheduled_ = false;
    catch_up();
  });
}

void Hub::catch_up() {
  if (scan_under_way_) return;
  int64_t from = INT64_MAX;
  bool with_previous = false;
  for (auto at = unsynced_.begin(); at != unsynced_.end();) {
    Watcher& w = *at++;
    w.scanning = false;
    if (w.stream->blocked_ || !w.pending.empty())
      continue;  // when its stream has room again, or has sent those
    if (w.next < store_.compacted()) {
      cancel_compacted(w);
      continue;
    }
    if (from_recent(w)) continue;
    w.scanning = true;
    from = std::min(from, w.next);
    with_previous = with_previous || w.previous;
  }
  if (from != INT64_MAX) scan(from, with_previous);
}

// Catches up from memory, if everything it needs is there: nothing can come between, so it is synced
// afterwards.
bool Hub::from_recent(Watcher& w) {
  if (w.next < recent_from_) return false;
  const api::Interval interval = api::Interval::of(w.group->begin, w.group->end);
  auto begin = std::partition_point(recent_.begin(), recent_.end(),
                                    [&](const Recent& r) { return r.event->revision < w.next; });
  auto wanted = [&](const Recent& r) {
    return interval.contains(r.key) && (r.event->is_delete ? w.wants_deletes : w.wants_puts);
  };
  if (w.previous) {
    for (auto at = begin; at != recent_.end(); ++at) {
      if (wanted(*at) && at->event->with_previous.empty()) return false;  // only history knows
    }
  }
  sync(w);
  for (auto at = begin; at != recent_.end(); ++at) {
    if (!wanted(*at)) continue;
    w.pending.push_back(at->event);
    mark_dirty(w);
  }
  return true;
}

void Hub::scan(int64_t from, bool with_previous) {
  scan_under_way_ = true;
  store_.history(from, options_.history_bytes, with_previous,
                 [this, alive = alive_](mvcc::Store::History history) {
                   if (*alive) on_history(std::move(history));
                 });
}

void Hub::on_history(mvcc::Store::History history) {
  if (history.error == mvcc::ReadError::kCompacted) {
    scan_under_way_ = false;
    return schedule_catch_up();  // which cancels those that are too far behind
  }
  if (history.error != mvcc::ReadError::kNone) {
    scan_under_way_ = false;
    runtime_.log->write(LogLevel::kError, {"watchers cannot read history", 28}, {});
    runtime_.executor->at(runtime_.executor->clock().monotonic_ns() + 100'000'000, [this, alive = alive_] {
      if (*alive) schedule_catch_up();
    });
    return;
  }
  bound_previous(history, options_.history_bytes);
  std::vector<mvcc::KeyVersion> versions;
  for (const mvcc::Event& event : history.events) {
    if (event.previous) versions.push_back(*event.previous);
  }
  if (versions.empty()) return deliver_history(history, {});
  auto shared = std::make_shared<mvcc::Store::History>(std::move(history));
  store_.fetch(std::move(versions), [this, alive = alive_, shared](const mvcc::Store::Fetched& fetched) {
    if (!*alive) return;
    if (fetched.error == mvcc::ReadError::kNone) return deliver_history(*shared, fetched.records);
    shared->error = fetched.error;
    on_history(std::move(*shared));
  });
}

void Hub::deliver_history(mvcc::Store::History& history, std::span<const mvcc::Record> previous) {
  scan_under_way_ = false;
  size_t next_previous = 0;
  for (const mvcc::Event& event : history.events) {
    mvcc::Record before = event.previous ? previous[next_previous++] : mvcc::Record();
    EventRef encoded;
    match(event.key, [&](Watcher& w) {
      if (!w.scanning || event.revision.main < w.next) return;
      if (event.is_delete ? !w.wants_deletes : !w.wants_puts) return;
      if (!encoded) encoded = encode(event);
      if (w.previous && encoded->with_previous.empty()) {
        encoded->with_previous = before.size == 0
                                     ? encoded->plain
                                     : encode_event(event.is_delete, view(event.record.view()), view(before));
      }
      w.pending.push_back(encoded);
      mark_dirty(w);
    });
  }
  for (auto at = unsynced_.begin(); at != unsynced_.end();) {
    Watcher& w = *at++;
    if (!w.scanning) continue;
    w.scanning = false;
    w.next = std::max(w.next, history.next);
    if (w.next > store_.revision()) sync(w);
  }
  // Those that are not there yet go on once this round has been sent, so that they never hold more than one
  // scan.
  if (!unsynced_.empty()) {
    schedule_round();
    schedule_catch_up();
  }
}

void Hub::cancel_compacted(Watcher& w) {
  Stream& stream = *w.stream;
  wire::Writer out;
  header_(out, 0);
  out.varint_field(2, static_cast<uint64_t>(w.id));
  out.varint_field(4, 1);
  out.varint_field(5, static_cast<uint64_t>(store_.compacted()));
  stream.drop(w);
  plugin::Buffer message = out.take();
  stream.sink_.send({&message, 1});
}

}  // namespace quorate::watch
