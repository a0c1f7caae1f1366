// Published vectors for quorum arithmetic and membership changes, in etcd-io/raft's datadriven format. They
// live beside the repository, not in it; the tables in quorum_test.cc and config_test.cc stand on their own.
#include <gtest/gtest.h>

#include <cstdlib>

#include "raft/config.h"
#include "raft/datadriven.h"
#include "raft/progress.h"
#include "raft/quorum.h"

namespace quorate::raft::testing {
namespace {

std::string vectors(const std::string& folder) {
  const char* shared = std::getenv("QUORATE_SHARED");
  return (shared != nullptr ? std::string(shared) : std::string(QUORATE_SOURCE_DIR) + "/../shared") +
         "/raft-vectors/" + folder;
}

#define REQUIRE_VECTORS(files)                                                                        \
  if ((files).empty())                                                                                \
  GTEST_SKIP() << "NO VECTORS: put them beside the repository in shared/raft-vectors, or name their " \
                  "parent in QUORATE_SHARED"

// ---- quorum
// --------------------------------------------------------------------------------------------------------

struct Quorums {
  MemberSet incoming;
  MemberSet outgoing;
  bool joint = false;
  std::vector<MemberId> order;  // in which values are given: as named, without repetition
};

Quorums quorums_of(const TestCase& test) {
  Quorums q;
  auto read = [&](const char* key, MemberSet& into) {
    auto at = test.named.find(key);
    if (at == test.named.end()) return;
    for (const std::string& s : at->second) {
      if (s == "zero") continue;
      MemberId id(std::stoull(s));
      into.insert(id);
      if (std::find(q.order.begin(), q.order.end(), id) == q.order.end()) q.order.push_back(id);
    }
  };
  read("cfg", q.incoming);
  read("cfgj", q.outgoing);
  q.joint = test.named.count("cfgj") != 0;
  return q;
}

std::string index_text(uint64_t index) { return index == kUnlimited ? "∞" : std::to_string(index); }

std::string run_committed(const TestCase& test) {
  const Quorums q = quorums_of(test);
  std::map<MemberId, uint64_t> acked;
  if (auto at = test.named.find("idx"); at != test.named.end())
    for (size_t i = 0; i < at->second.size() && i < q.order.size(); ++i)
      if (at->second[i] != "_") acked[q.order[i]] = std::stoull(at->second[i]);
  auto lookup = [&](MemberId id) {
    auto at = acked.find(id);
    return at == acked.end() ? std::nullopt : std::optional<uint64_t>(at->second);
  };
  MemberSet all = q.incoming;
  for (MemberId id : q.outgoing) all.insert(id);
  const uint64_t index = joint_reached(q.incoming, q.outgoing, lookup);
  EXPECT_EQ(index, joint_reached(q.outgoing, q.incoming, lookup)) << "symmetric";
  if (!q.joint) {
    EXPECT_EQ(index, majority_reached(q.incoming, lookup));
    EXPECT_EQ(index, joint_reached(q.incoming, q.incoming, lookup));
  }
  return describe_reached(all, acked) + index_text(index) + "\n";
}

std::string run_vote(const TestCase& test) {
  const Quorums q = quorums_of(test);
  std::map<MemberId, bool> votes;
  if (auto at = test.named.find("votes"); at != test.named.end())
    for (size_t i = 0; i < at->second.size() && i < q.order.size(); ++i)
      if (at->second[i] != "_") votes[q.order[i]] = at->second[i] == "y";
  auto lookup = [&](MemberId id) {
    auto at = votes.find(id);
    return at == votes.end() ? std::nullopt : std::optional<bool>(at->second);
  };
  const VoteResult result = joint_vote(q.incoming, q.outgoing, lookup);
  EXPECT_EQ(result, joint_vote(q.outgoing, q.incoming, lookup)) << "symmetric";
  constexpr const char* kNames[] = {"VotePending", "VoteLost", "VoteWon"};
  return std::string(kNames[static_cast<int>(result)]) + "\n";
}

TEST(Vectors, Quorum) {
  const std::vector<std::string> files = files_in(vectors("quorum"));
  REQUIRE_VECTORS(files);
  for (const std::string& file : files)
    run_file(file, false, [](const TestCase& test) {
      return test.command == "vote" ? run_vote(test) : run_committed(test);
    });
}

// ---- membership
// ----------------------------------------------------------------------------------------------------

class ConfigRunner {
 public:
  std::string run(const TestCase& test) {
    std::vector<ChangeItem> items;
    std::stringstream in(test.input);
    for (std::string token; in >> token;) {
      const char* kKinds = "vlru";
      const char* at = std::strchr(kKinds, token[0]);
      items.push_back({static_cast<ChangeItem::Kind>(at - kKinds), MemberId(std::stoull(token.substr(1)))});
    }
    auto flag = test.named.find("autoleave");
    const bool auto_leave = flag != test.named.end() && flag->second[0] == "true";
    ConfigResult result;
    if (test.command == "simple") result = change_simple(config_, items);
    if (test.command == "enter-joint") result = enter_joint(config_, items, auto_leave);
    if (test.command == "leave-joint") result = leave_joint(config_);
    const uint64_t last_index = commands_++;
    if (result.error != nullptr) return std::string(result.error) + "\n";
    adopt(result.config, last_index);
    return print();
  }

 private:
  // As the leader does: whoever is new is probed from the end of the log, whoever stays keeps its progress.
  void adopt(const Config& next, uint64_t last_index) {
    config_ = next;
    std::erase_if(progress_, [&](const auto& p) { return !next.is_member(p.first); });
    for (MemberId id : next.members())
      if (progress_.count(id) == 0) progress_[id].next = Index(std::max<uint64_t>(last_index, 1));
  }
  std::string print() const {
    std::string out = to_string(config_) + "\n";
    for (const auto& [id, p] : progress_)
      out += std::to_string(id.value) + ": StateProbe match=" + std::to_string(p.match.value) +
             " next=" + std::to_string(p.next.value) + (config_.learners.contains(id) ? " learner" : "") +
             "\n";
    return out;
  }

  Config config_;
  std::map<MemberId, Progress> progress_;
  uint64_t commands_ = 0;
};

TEST(Vectors, ConfigChanges) {
  const std::vector<std::string> files = files_in(vectors("confchange"));
  REQUIRE_VECTORS(files);
  for (const std::string& file : files) {
    ConfigRunner runner;
    run_file(file, false, [&](const TestCase& test) { return runner.run(test); });
  }
}

}  // namespace
}  // namespace quorate::raft::testing
