// Stories told as text: every file of testdata/ is a list of commands and what the members answered. To
// accept new behaviour run with QUORATE_REWRITE=1 and review the difference.
//
//   cluster voters=N            a new cluster
//   campaign|crash|restart ID   propose ID VALUE...   change ID v4 r2...   read ID CONTEXT   transfer ID TO
//   lost ID OF                  ID learns that its connection to OF is closed
//   tick ID N                   pump ID: takes and prints what is ready
//   write ID [N]                the N oldest writes (all) become durable
//   deliver|drop FROM TO [N]    the N oldest messages (all) of that pair, or of any with 0
//   isolate ID...               their messages are lost from now on; without ids: nobody's are
//   settle                      until nothing happens any more
//   compact ID                  forgets everything applied
//   status                      one line per member
#include <gtest/gtest.h>

#include <cstdlib>

#include "raft/cluster.h"
#include "raft/datadriven.h"
#include "raft/print.h"

namespace quorate::raft::testing {
namespace {

class Story {
 public:
  std::string run(const TestCase& test) {
    const std::string& c = test.command;
    if (c == "cluster") return start(test);
    if (c == "isolate") return isolate(test);
    if (c == "settle") return cluster_->settle(), "ok";
    if (c == "status") return cluster_->status();
    if (c == "deliver" || c == "drop") return messages(test, c == "deliver");
    const uint64_t id = number(test, 0);
    if (c == "pump") return print(cluster_->pump(id), MemberId(id));
    if (c == "crash") return cluster_->crash(id), "ok";
    if (c == "restart") return cluster_->restart(id), "ok";
    return on_member(test, cluster_->node(id));
  }

 private:
  static uint64_t number(const TestCase& test, size_t i, uint64_t otherwise = 0) {
    return i < test.words.size() ? std::strtoull(test.words[i].c_str(), nullptr, 10) : otherwise;
  }

  std::string start(const TestCase& test) {
    Options options;
    options.jitter_ticks = 0;
    cluster_ = std::make_unique<Cluster>(std::stoul(test.named.at("voters")[0]), options);
    return cluster_->status();
  }

  std::string isolate(const TestCase& test) {
    cluster_->isolated.clear();
    for (size_t i = 0; i < test.words.size(); ++i) cluster_->isolated.insert(MemberId(number(test, i)));
    return "ok";
  }

  std::string on_member(const TestCase& test, Node& node) {
    const std::string& c = test.command;
    if (c == "campaign") node->campaign();
    if (c == "compact") node->compact(node->applied_index());
    if (c == "lost") node->peer_connection_lost(MemberId(number(test, 1)));
    if (c == "propose") return propose(test, node);
    if (c == "change") return change(test, node);
    if (c == "read") return node->read_index(number(test, 1)) ? "ok" : "no leader";
    if (c == "transfer") return node->transfer_leadership(MemberId(number(test, 1))) ? "ok" : "refused";
    if (c == "tick")
      for (uint64_t i = number(test, 1, 1); i > 0; --i) node->tick();
    if (c == "write")
      for (uint64_t i = number(test, 1, 1000); i > 0 && node.writes_in_flight() != 0; --i)
        node.finish_write();
    cluster_->check(node);
    return "ok";
  }

  static std::string outcome(const Proposed& p) {
    constexpr const char* kNames[] = {
        "", "not leader", "no space", "transfer in progress", "change pending", "invalid"};
    if (p.ok()) return "index=" + std::to_string(p.first.value) + " term=" + std::to_string(p.term.value);
    return std::string(kNames[static_cast<int>(p.error)]) +
           (p.detail != nullptr ? std::string(": ") + p.detail : "");
  }
  std::string propose(const TestCase& test, Node& node) {
    std::vector<plugin::Buffer> batch;
    for (size_t i = 1; i < test.words.size(); ++i) batch.push_back(bytes(test.words[i]));
    return outcome(node->propose(std::move(batch)));
  }
  std::string change(const TestCase& test, Node& node) {
    ConfChange c;
    for (size_t i = 1; i < test.words.size(); ++i) {
      const size_t kind = std::string("vlru").find(test.words[i][0]);
      c.items.push_back(
          {static_cast<ChangeItem::Kind>(kind), MemberId(std::stoull(test.words[i].substr(1)))});
    }
    return outcome(node->propose_conf_change(c));
  }

  std::string messages(const TestCase& test, bool deliver) {
    const uint64_t from = number(test, 0);
    const uint64_t to = number(test, 1);
    std::string out;
    uint64_t left = number(test, 2, 1000);
    std::deque<Flying> others;
    for (std::deque<Flying> all = std::exchange(cluster_->flying, {}); !all.empty(); all.pop_front()) {
      const Flying& f = all.front();
      if (left == 0 || (from != 0 && f.from.value != from) || (to != 0 && f.to.value != to)) {
        others.push_back(f);
        continue;
      }
      --left;
      out += print(f);
      if (deliver) cluster_->deliver(f);
    }
    cluster_->flying = std::move(others);
    return out.empty() ? "no message" : out;
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST(Transcripts, All) {
  const std::vector<std::string> files = files_in(std::string(QUORATE_SOURCE_DIR) + "/tests/raft/testdata");
  ASSERT_GE(files.size(), 6u);
  for (const std::string& file : files) {
    SCOPED_TRACE(file);
    Story story;
    run_file(file, true, [&](const TestCase& test) { return story.run(test); });
  }
}

}  // namespace
}  // namespace quorate::raft::testing
