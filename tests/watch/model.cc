#include "watch/model.h"

#include <algorithm>

#include "api/ranges.h"

namespace quorate::test {

// ---- History
// -----------------------------------------------------------------------------------------------------------

void Model::put(const Op& op, int64_t at) {
  Change change{.revision = at, .key = op.key};
  auto [old, is_new] = live.try_emplace(op.key);
  if (!is_new) change.before = old->second;
  change.now = {.value = op.value,
                .create = is_new ? at : old->second.create,
                .mod = at,
                .version = old->second.version + 1,
                .lease = op.lease};
  old->second = change.now;
  changes.push_back(std::move(change));
}

void Model::erase(const std::string& key, int64_t at) {
  auto old = live.find(key);
  changes.push_back({.revision = at, .is_delete = true, .key = key, .before = old->second});
  live.erase(old);
}

int64_t Model::apply(const std::vector<Op>& ops) {
  const size_t had = changes.size();
  for (const Op& op : ops) {
    if (!op.is_delete) {
      put(op, revision + 1);
      continue;
    }
    std::vector<std::string> keys;
    for (const auto& [key, value] : live) {
      if (api::Interval::of(op.key, op.end).contains(key)) keys.push_back(key);
    }
    for (const std::string& key : keys) erase(key, revision + 1);
  }
  if (changes.size() != had) ++revision;
  return revision;
}

int64_t Model::revoke(int64_t lease) {
  std::vector<Op> ops;
  for (const auto& [key, value] : live) {
    if (value.lease == lease) ops.push_back({.is_delete = true, .key = key});
  }
  return apply(ops);
}

// ---- Watchers
// -----------------------------------------------------------------------------------------------------------

bool ModelWatcher::wants(const Change& c) const {
  if (c.revision < start || !(c.is_delete ? deletes : puts)) return false;
  const std::string from = key.empty() ? std::string(1, '\0') : key;
  if (end.empty()) return c.key == from;
  return c.key >= from && (end == std::string(1, '\0') || c.key < end);
}

void ModelStream::create(ModelWatcher w) {
  std::vector<Create::FilterType> filters;
  if (!w.puts) filters.push_back(Create::FilterType::kNoPut);
  if (!w.deletes) filters.push_back(Create::FilterType::kNoDelete);
  creating_.push_back(w);
  client_.create({.key = w.key,
                  .range_end = w.end,
                  .start_revision = w.asked,
                  .progress_notify = w.progress,
                  .filters = {filters.data(), filters.size()},
                  .prev_kv = w.previous,
                  .watch_id = w.id,
                  .fragment = w.fragment});
}

void ModelStream::cancel(int64_t id) {
  cancelling_.push_back(id);
  must_be_gone_.insert(id);
  client_.cancel(id);
}

void ModelStream::ask_progress() { client_.ask_progress(); }

void ModelStream::pass_over_unwanted(ModelWatcher& w) {
  while (w.next < model_.changes.size() && !w.wants(model_.changes[w.next])) ++w.next;
}

void ModelStream::judge() {
  while (client_.has_response() && !testing::Test::HasFatalFailure()) judge_one(client_.take());
}

void ModelStream::judge_one(const api::WatchResponse& r) {
  ASSERT_LE(r.header->revision, model_.revision);
  if (!(r.canceled && r.compact_revision != 0)) {
    ASSERT_GE(r.header->revision, seen_revision_) << "revisions of responses never go back";
    seen_revision_ = r.header->revision;
  }
  if (in_pieces_) {
    ASSERT_TRUE(r.watch_id == *in_pieces_ && !r.events.empty()) << "between the pieces of a response";
  }
  if (r.created) return judge_created(r);
  if (r.watch_id == -1) {
    ASSERT_TRUE(!r.canceled && r.events.empty());
    ASSERT_FALSE(watchers_.empty());
    for (auto& [id, w] : watchers_) judge_progress(w, r.header->revision);
    ++progress;
    return;
  }
  auto at = watchers_.find(r.watch_id);
  ASSERT_NE(at, watchers_.end()) << "a response of watch " << r.watch_id << ", which is none";
  ModelWatcher& w = at->second;
  if (r.canceled) {
    judge_canceled(w, r);
    watchers_.erase(at);
  } else if (r.events.empty()) {
    ASSERT_TRUE(w.progress) << "progress that was not asked for";
    judge_progress(w, r.header->revision);
    ++progress;
  } else {
    judge_events(w, r);
  }
}

void ModelStream::judge_created(const api::WatchResponse& r) {
  ASSERT_FALSE(creating_.empty());
  ModelWatcher w = std::move(creating_.front());
  creating_.pop_front();
  ASSERT_EQ(r.events.size(), 0u);
  if (w.id != 0 && watchers_.contains(w.id)) {
    ASSERT_TRUE(r.canceled && r.watch_id == -1) << "a second watch of id " << w.id;
    return;
  }
  ASSERT_FALSE(r.canceled) << r.cancel_reason;
  if (w.id == 0) {
    while (watchers_.contains(next_id_)) ++next_id_;
    w.id = next_id_++;
  }
  ASSERT_EQ(r.watch_id, w.id);
  w.start = w.asked != 0 ? w.asked : r.header->revision + 1;
  w.must_end = w.start < model_.compacted_surely;
  w.complete = w.start - 1;
  must_be_gone_.erase(w.id);
  watchers_.emplace(w.id, std::move(w));
}

void ModelStream::judge_canceled(ModelWatcher& w, const api::WatchResponse& r) {
  ASSERT_EQ(r.events.size(), 0u);
  ASSERT_EQ(r.cancel_reason, "");
  if (r.compact_revision == 0) {
    auto asked = std::find(cancelling_.begin(), cancelling_.end(), w.id);
    ASSERT_NE(asked, cancelling_.end()) << "nobody cancelled watch " << w.id;
    cancelling_.erase(asked);
    return;
  }
  ++compacted;
  ASSERT_EQ(r.header->revision, 0);
  ASSERT_LE(r.compact_revision, model_.compacted);
  ASSERT_GT(r.compact_revision, w.complete + 1) << "watch " << w.id << " needs nothing that is gone";
}

// That it has everything up to `revision`.
void ModelStream::judge_progress(ModelWatcher& w, int64_t revision) {
  pass_over_unwanted(w);
  if (w.next < model_.changes.size()) {
    ASSERT_GT(model_.changes[w.next].revision, revision) << "watch " << w.id << " was not told of that one";
  }
  ASSERT_LE(w.start, revision + 1) << "watch " << w.id << " has not begun";
  w.complete = std::max(w.complete, revision);
}

void ModelStream::judge_events(ModelWatcher& w, const api::WatchResponse& r) {
  ASSERT_FALSE(w.must_end) << "watch " << w.id << " began at a compacted revision";
  for (const api::Event& e : r.events) ASSERT_NO_FATAL_FAILURE(judge_event(w, e));
  const int64_t last = r.events.back().kv->mod_revision;
  ASSERT_LE(last, r.header->revision);
  in_pieces_.reset();
  if (r.fragment) {
    ASSERT_TRUE(w.fragment) << "fragments that were not asked for";
    in_pieces_ = w.id;
    ++pieces;
    return;
  }
  pass_over_unwanted(w);
  if (w.next < model_.changes.size()) {
    ASSERT_GT(model_.changes[w.next].revision, last) << "revision " << last << " was torn";
  }
  w.complete = std::max(w.complete, last);
}

void ModelStream::judge_event(ModelWatcher& w, const api::Event& e) {
  ++events;
  pass_over_unwanted(w);
  ASSERT_NE(e.kv, nullptr);
  ASSERT_LT(w.next, model_.changes.size())
      << "watch " << w.id << ": an event too many, of " << e.kv->key << " at " << e.kv->mod_revision;
  const Change& c = model_.changes[w.next++];
  ASSERT_EQ(e.kv->mod_revision, c.revision) << "watch " << w.id << ": " << e.kv->key << ", not " << c.key;
  ASSERT_EQ(e.kv->key, c.key);
  ASSERT_EQ(e.type == api::Event::EventType::kDelete, c.is_delete);
  ASSERT_TRUE(e.kv->value == c.now.value);
  ASSERT_EQ(e.kv->create_revision, c.now.create);
  ASSERT_EQ(e.kv->version, c.now.version);
  ASSERT_EQ(e.kv->lease, c.now.lease);
  if (!w.previous || !c.before) {
    ASSERT_EQ(e.prev_kv, nullptr);
  } else if (e.prev_kv == nullptr) {
    ++without_previous;
    ASSERT_LE(c.revision, model_.compacted) << "what was before " << c.key << " is still there";
  } else {
    ASSERT_EQ(e.prev_kv->key, c.key);
    ASSERT_TRUE(e.prev_kv->value == c.before->value) << c.key << " at " << c.revision;
    ASSERT_EQ(e.prev_kv->mod_revision, c.before->mod);
    ASSERT_EQ(e.prev_kv->create_revision, c.before->create);
    ASSERT_EQ(e.prev_kv->version, c.before->version);
    ASSERT_EQ(e.prev_kv->lease, c.before->lease);
  }
}

void ModelStream::expect_complete() {
  ASSERT_FALSE(client_.call().ended) << client_.call().text;
  ASSERT_TRUE(creating_.empty()) << creating_.size() << " watches were not created";
  ASSERT_FALSE(in_pieces_);
  for (int64_t id : must_be_gone_)
    ASSERT_FALSE(watchers_.contains(id)) << "watch " << id << " is still there";
  cancelling_.clear();
  must_be_gone_.clear();
  bool all_begun = !watchers_.empty();
  for (auto& [id, w] : watchers_) {
    ASSERT_FALSE(w.must_end) << "watch " << id << " should have been cancelled as compacted";
    pass_over_unwanted(w);
    if (w.next < model_.changes.size()) {
      const Change& c = model_.changes[w.next];
      FAIL() << "watch " << id << " waits for " << c.key << " at " << c.revision << " of " << model_.revision;
    }
    if (w.start <= model_.revision + 1) w.complete = std::max(w.complete, model_.revision);
    all_begun = all_begun && w.start <= model_.revision + 1;
  }
  const uint64_t before = progress;
  ask_progress();
  judge();
  ASSERT_EQ(progress - before, all_begun ? 1u : 0u) << "progress on request";
}

}  // namespace quorate::test
