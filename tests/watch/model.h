// What a Watch stream must deliver, told by a plain list of every change.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "watch/watch_client.h"

namespace quorate::test {

struct ModelValue {
  std::string value;
  int64_t create = 0, mod = 0, version = 0, lease = 0;
};

struct Change {
  int64_t revision = 0;
  bool is_delete = false;
  std::string key;
  ModelValue now;  // of a put
  std::optional<ModelValue> before;
};

// History as it must come to pass: requests are applied in the order in which they were sent.
class Model {
 public:
  int64_t revision = 1;
  int64_t compacted = -1;         // asked for
  int64_t compacted_surely = -1;  // answered
  std::vector<Change> changes;
  std::map<std::string, ModelValue> live;

  struct Op {
    bool is_delete = false;
    std::string key, end, value;  // of a delete: a range
    int64_t lease = 0;
  };
  // All of one revision. Returns the revision afterwards.
  int64_t apply(const std::vector<Op>& ops);
  int64_t revoke(int64_t lease);

 private:
  void put(const Op& op, int64_t at);
  void erase(const std::string& key, int64_t at);
};

// One watcher as its client asked for it, and how far it is.
struct ModelWatcher {
  std::string key, end;
  bool puts = true, deletes = true, previous = false, fragment = false, progress = false;
  int64_t asked = 0;  // start_revision
  int64_t id = 0;

  int64_t start = 0;      // the first revision that it is owed
  int64_t complete = 0;   // up to here the client has everything
  size_t next = 0;        // of changes; all before it are delivered or not owed
  bool must_end = false;  // it began before what was compacted
  bool in_pieces = false;

  bool wants(const Change& change) const;
};

// A stream and everything that it must answer. Failures are reported to GoogleTest.
class ModelStream {
 public:
  ModelStream(NodeRig& rig, Model& model) : model_(model), client_(rig) {}

  WatchClient& client() { return client_; }
  const std::map<int64_t, ModelWatcher>& watchers() const { return watchers_; }
  void create(ModelWatcher watcher);
  void cancel(int64_t id);
  void ask_progress();
  // Judges what has come.
  void judge();
  // After everything was read and nothing moves: every watcher has all there is.
  void expect_complete();
  uint64_t events = 0, pieces = 0, progress = 0, compacted = 0, without_previous = 0;  // seen so far

 private:
  void judge_one(const api::WatchResponse& r);
  void judge_created(const api::WatchResponse& r);
  void judge_canceled(ModelWatcher& w, const api::WatchResponse& r);
  void judge_progress(ModelWatcher& w, int64_t revision);
  void judge_events(ModelWatcher& w, const api::WatchResponse& r);
  void judge_event(ModelWatcher& w, const api::Event& e);
  void pass_over_unwanted(ModelWatcher& w);

  Model& model_;
  WatchClient client_;
  std::map<int64_t, ModelWatcher> watchers_;
  std::deque<ModelWatcher> creating_;
  std::deque<int64_t> cancelling_;  // asked for; some are not answered, where the watch has ended by itself
  std::set<int64_t> must_be_gone_;  // once all is quiet
  int64_t next_id_ = 0;
  int64_t seen_revision_ = 0;
  std::optional<int64_t> in_pieces_;  // the watcher whose pieces are arriving
};

}  // namespace quorate::test
