// Power cuts: at every operation, with every subset of what was not synced, during recovery, and at random
// for long.
#include <gtest/gtest.h>

#include <cstdlib>

#include "model.h"

namespace quorate::wal {
namespace {

uint64_t rounds(uint64_t normal, uint64_t soak) {
  return std::getenv("QUORATE_SOAK") != nullptr ? soak : normal;
}

// A log of three acknowledged entries whose fourth append, of `sectors` sectors, was written but not synced.
void with_pending_batch(Machine* m, uint64_t sectors) {
  ASSERT_TRUE(m->create().ok());
  ASSERT_TRUE(m->append({entry(1, 1, "one"), entry(1, 2, "two")}).ok());
  ASSERT_TRUE(m->append({entry(1, 3, "three")}).ok());
  ASSERT_TRUE(m->files->sync_dir("/data/wal").ok());
  m->files->fail_power_at(2);
  std::string data;
  for (uint64_t i = 0; data.size() + 200 < sectors * 512; ++i) data += std::to_string(i * 7919) + ",";
  Batch b;
  b.hard_state = raft::HardState{Term(2), MemberId(5)};
  b.entries = {entry(2, 3, "THREE"), entry(2, 4, data)};
  bool acknowledged = false;
  m->wal->append(std::move(b), [&](const Status& s, const Appended&) { acknowledged = s.ok(); });
  m->executor.run_until_idle();
  ASSERT_FALSE(acknowledged);
  m->kill();
}

// The old log, or the new one as a whole; nothing between.
bool is_new(const Machine& m) {
  if (m.recovered.last == Position{Index(4), Term(2)}) {
    EXPECT_EQ(m.recovered.hard_state.term, Term(2));
    EXPECT_EQ(m.texts()[2], "2:3:THREE");
    return true;
  }
  EXPECT_EQ(m.recovered.hard_state.term, Term(0));
  EXPECT_EQ(m.texts(), (std::vector<std::string>{"1:1:one", "1:2:two", "1:3:three"}));
  return false;
}

TEST(WalCrash, EverySubsetOfUnsyncedSectors) {
  Machine m;
  with_pending_batch(&m, 10);
  size_t pending = m.files->pending().size();
  ASSERT_GE(pending, 9u);
  ASSERT_LE(pending, 12u);
  uint64_t whole = 0;
  for (uint64_t mask = 0; mask < (uint64_t{1} << pending); ++mask) {
    Machine next(m.files->clone(), mask);
    next.files->power_cut(PowerCut::mask(mask));
    Status s = next.recover();
    ASSERT_TRUE(s.ok()) << mask << ": " << s.text();
    whole += is_new(next) ? 1 : 0;
  }
  EXPECT_EQ(whole, 1u) << "only with every sector";
}

// An append that shares its first sectors with the one of with_pending_batch().
Batch shorter_batch(const Machine& whole) {
  Batch b;
  b.hard_state = raft::HardState{Term(2), MemberId(5)};
  const raft::Entry& last = whole.recovered.entries.back();
  b.entries = {entry(2, 3, "THREE"), entry(2, 4, std::string(last.data.chars(), 1100))};
  return b;
}

TEST(WalCrash, WhatWasDroppedNeverComesBack) {
  Machine m;
  with_pending_batch(&m, 5);
  size_t pending = m.files->pending().size();
  ASSERT_LE(pending, 7u);
  Machine whole(m.files->clone());
  ASSERT_TRUE(whole.recover().ok());
  for (uint64_t mask = 0; mask < (uint64_t{1} << pending) - 1; ++mask) {
    Machine next(m.files->clone(), mask);
    next.files->power_cut(PowerCut::mask(mask));
    ASSERT_TRUE(next.recover().ok());
    ASSERT_FALSE(is_new(next));
    // Life goes on with an append that is again cut off, every way: it may supply the very sectors that the
    // dropped one lacked.
    next.files->fail_power_at(2);
    (void)next.append(shorter_batch(whole));
    next.kill();
    for (uint64_t second = 0; second < uint64_t{1} << next.files->pending().size(); ++second) {
      Machine third(next.files->clone(), second + 1);
      third.files->power_cut(PowerCut::mask(second));
      ASSERT_TRUE(third.recover().ok());
      ASSERT_TRUE(third.recovered.last.index.value <= 3 || third.recovered.entries.back().data.size() == 1100)
          << "the dropped batch is back: " << mask << " " << second;
      ASSERT_TRUE(third.append({entry(3, 3, "new")}).ok());
      ASSERT_TRUE(third.recover().ok());
      ASSERT_EQ(third.texts().back(), "3:3:new");
    }
  }
}

TEST(WalCrash, WhatARecycledFileHeldBeforeIsNotLog) {
  // The spare is full of valid batches, of higher numbers than ours: only the salt tells them apart.
  Machine other(77);
  ASSERT_TRUE(other.create().ok());
  for (uint64_t i = 1; i <= 60; ++i) ASSERT_TRUE(other.append({entry(1, i, std::string(600, 'o'))}).ok());
  std::string former = other.files->get(other.newest_segment());
  Machine m;
  ASSERT_TRUE(m.create().ok());
  for (auto& name : m.files->names("/data/wal"))
    if (name.starts_with("spare-")) m.files->put("/data/wal/" + name, {former.data(), former.size()});
  uint64_t index = 0;
  while (m.wal->stats().rotations == 0)
    ASSERT_TRUE(m.append({entry(1, ++index, std::string(20'000, 'm'))}).ok());
  Status s = m.recover();
  ASSERT_TRUE(s.ok()) << s.text();
  EXPECT_EQ(m.recovered.last.index.value, index);
}

TEST(WalCrash, RecoveryMayBeCutOffAtEveryOperation) {
  Machine m;
  with_pending_batch(&m, 8);
  for (uint64_t mask : {uint64_t{0}, uint64_t{0x55}, uint64_t{0xfe}, ~uint64_t{0}}) {
    bool finished = false;
    for (uint64_t op = 1; !finished; ++op) {
      ASSERT_LT(op, 100u);
      Machine next(m.files->clone(), op);
      next.files->power_cut(PowerCut::mask(mask));
      next.files->fail_power_at(op);
      finished = next.recover().ok() && !next.files->power_failed();
      next.kill();
      for (uint64_t second = 0; second < 8; ++second) {
        Machine third(next.files->clone(), second);
        third.files->power_cut(PowerCut::random(second, true));
        ASSERT_TRUE(third.recover().ok()) << mask << " " << op << " " << second;
        ASSERT_EQ(is_new(third), mask == ~uint64_t{0});
      }
    }
  }
}

TEST(WalCrash, CreationMayBeCutOffAtEveryOperation) {
  bool finished = false;
  for (uint64_t op = 1; !finished; ++op) {
    ASSERT_LT(op, 100u);
    Machine m(op);
    m.files->fail_power_at(op);
    finished = m.create().ok() && !m.files->power_failed();
    m.kill();
    for (uint64_t cut = 0; cut < 10; ++cut) {
      Machine next(m.files->clone(), cut);
      next.files->power_cut(PowerCut::random(cut, true));
      Status s = next.recover();
      ASSERT_TRUE(s.ok() || !finished) << s.text();
      if (!s.ok()) {
        ASSERT_EQ(s.code(), Code::kNotFound) << s.text();
        ASSERT_TRUE(next.create().ok());
        ASSERT_TRUE(next.recover().ok());
      }
      ASSERT_EQ(next.recovered.metadata.node_id, "node");
      ASSERT_TRUE(next.append({entry(1, 1, "x")}).ok());
    }
  }
}

// One run of the same work, with the power failing during operation `op`. False: it ended before that.
bool cut_run(uint64_t seed, uint64_t op, uint64_t cuts) {
  Machine m(seed);
  m.options.batch_bytes = 24 << 10;
  EXPECT_TRUE(m.create().ok());
  Workload work(&m, seed);
  m.files->fail_power_at(op);
  for (int i = 0; i < 400 && !m.files->power_failed(); ++i) work.step();
  m.executor.run_until_idle();
  bool failed = m.files->power_failed();
  m.kill();
  for (uint64_t cut = 0; cut < cuts; ++cut) {
    Machine next(m.files->clone(), op * 100 + cut);
    next.files->power_cut(cut == 0   ? PowerCut::keep_none()
                          : cut == 1 ? PowerCut::keep_all()
                                     : PowerCut::random(op * 100 + cut, true));
    Status s = next.recover();
    EXPECT_TRUE(s.ok()) << "seed " << seed << " operation " << op << " cut " << cut << ": " << s.text();
    if (!s.ok()) return false;
    Workload judge = work;
    auto result = judge.check(next.recovered);
    EXPECT_TRUE(result) << "seed " << seed << " operation " << op << " cut " << cut;
    if (!result) return false;
  }
  return failed;
}

TEST(WalCrash, AtEveryOperationWhileSegmentsTurnOver) {
  uint64_t op = 1;
  while (cut_run(11, op, 4)) op += rounds(3, 1);
  EXPECT_GT(op, 300u) << "the work was too short to mean anything";
}

TEST(WalCrash, LifeAfterLife) {
  for (uint64_t seed = 1; seed <= rounds(60, 3000); ++seed) {
    Machine m(seed);
    m.options.batch_bytes = 24 << 10;
    if (seed % 3 == 0) m.options.zero_ahead_bytes = 16 << 10;
    ASSERT_TRUE(m.create().ok());
    m.wal->allow_inline(seed % 2 == 0);
    Workload work(&m, seed);
    for (int life = 0; life < 25; ++life) {
      m.files->fail_power_at(1 + work.pick(work.pick(10) == 0 ? 400 : 80));
      for (int i = 0; i < 600 && !m.files->power_failed(); ++i) work.step();
      m.executor.run_until_idle();
      m.kill();
      m.files->power_cut(PowerCut::random(seed * 1000 + life, true));
      if (work.pick(4) == 0) {  // recovery is cut off, too
        m.files->fail_power_at(1 + work.pick(6));
        m.recover().ok();
        m.kill();
        m.files->power_cut(PowerCut::random(seed * 1000 + life + 500, true));
      }
      Status s = m.recover();
      ASSERT_TRUE(s.ok()) << "seed " << seed << " life " << life << ": " << s.text();
      ASSERT_TRUE(work.check(m.recovered)) << "seed " << seed << " life " << life;
      m.wal->allow_inline(seed % 2 == 0);
    }
    ASSERT_GT(work.acknowledged_count(), 50u);
  }
}

TEST(WalCrash, ACrashLoopDoesNotFillTheDisk) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  for (uint64_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(m.append({entry(i, i, "one entry a life")}).ok());
    m.kill();
    m.files->power_cut(PowerCut::random(i));
    ASSERT_TRUE(m.recover().ok());
    ASSERT_EQ(m.recovered.entries.size(), i);
  }
  EXPECT_LE(m.files->used(), 5 * m.options.segment_bytes);
}

// The tests must be able to see a lost acknowledgement: on a disk that lies they do.
TEST(WalCrash, ALyingDiskIsNoticed) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  Workload work(&m, 5);
  m.files->lie_about_syncs(true);
  for (int i = 0; i < 60; ++i) work.step();
  m.executor.run_until_idle();
  ASSERT_GT(work.acknowledged_count(), 10u);
  m.kill();
  m.files->power_cut(PowerCut::keep_none());
  ASSERT_TRUE(m.recover().ok());
  EXPECT_FALSE(work.check(m.recovered));
}

}  // namespace
}  // namespace quorate::wal
