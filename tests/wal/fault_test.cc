// A full disk, and a disk that fails.
#include <gtest/gtest.h>

#include "machine.h"

namespace quorate::wal {
namespace {

Batch vote(uint64_t term) {
  Batch b;
  b.hard_state = raft::HardState{Term(term), MemberId(1)};
  return b;
}

// Appends entries until that is refused.
Status fill(Machine* m, uint64_t term) {
  for (;;)
    if (Status s = m->append({entry(term, m->wal->last().index.value + 1, std::string(3000, 'x'))}); !s)
      return s;
}

TEST(WalFull, RefusesEntriesKeepsRaftAliveAndResumes) {
  Machine m;
  m.files->set_quota(6 * (64 << 10));
  ASSERT_TRUE(m.create().ok());
  Status s = fill(&m, 1);
  EXPECT_EQ(s.code(), Code::kNoSpace) << s.text();
  EXPECT_FALSE(m.wal->failed());
  Position last = m.wal->last();
  EXPECT_EQ(m.wal->durable(), last);
  EXPECT_EQ(m.append({entry(1, last.index.value + 1, std::string(3000, 'x'))}).code(), Code::kNoSpace);
  EXPECT_EQ(m.wal->last(), last) << "a refused entry is not in the log";

  for (uint64_t term = 2; term < 10; ++term) EXPECT_TRUE(m.append(vote(term)).ok()) << term;
  EXPECT_TRUE(m.append({entry(10, last.index.value + 1, "")}).ok()) << "a new leader's no-op";
  m.files->power_cut(PowerCut::random(1));
  m.kill();
  ASSERT_TRUE(m.recover().ok());
  EXPECT_EQ(m.recovered.hard_state.term, Term(9));
  EXPECT_EQ(m.recovered.last, (Position{last.index + 1, Term(10)}));

  m.files->set_quota(20 * (64 << 10));
  EXPECT_TRUE(m.append({entry(10, last.index.value + 2, std::string(3000, 'x'))}).ok())
      << "no restart needed";
}

TEST(WalFull, ReleasingMakesRoom) {
  Machine m;
  m.files->set_quota(6 * (64 << 10));
  ASSERT_TRUE(m.create().ok());
  EXPECT_EQ(fill(&m, 1).code(), Code::kNoSpace);
  m.wal->release(m.wal->durable().index);
  m.executor.run_until_idle();
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(m.append({entry(1, m.wal->last().index.value + 1, std::string(3000, 'x'))}).ok()) << i;
}

TEST(WalFull, WhatStandsBehindARefusedAppendIsRefusedWithIt) {
  // A vote that became durable while entries before it did not would let Raft take those for durable, too.
  for (uint64_t steps = 0; steps < 12; ++steps) {
    Machine m;
    m.files->set_quota(6 * (64 << 10));
    ASSERT_TRUE(m.create().ok());
    EXPECT_EQ(fill(&m, 1).code(), Code::kNoSpace);
    uint64_t last = m.wal->last().index.value;
    std::vector<std::string> answers;
    auto note = [&](const Status& s, const Appended&) { answers.push_back(plugin::code_name(s.code())); };
    Batch a, b;
    a.entries = {entry(1, last + 1, std::string(3000, 'x'))};
    b.entries = {entry(1, last + 2, "y")};
    m.wal->append(std::move(a), note);
    m.wal->append(std::move(b), note);
    for (uint64_t i = 0; i < steps && answers.empty(); ++i) m.executor.step();
    bool known = !answers.empty();
    m.wal->append(vote(4), note);
    m.executor.run_until_idle();
    EXPECT_EQ(answers, (std::vector<std::string>{"no_space", "no_space", known ? "ok" : "no_space"}))
        << steps;
    EXPECT_TRUE(m.append(vote(5)).ok());
  }
}

TEST(WalFull, RoomIsMadeThoughAppendsAreRefused) {
  Machine m;
  m.files->set_quota(6 * (64 << 10));
  ASSERT_TRUE(m.create().ok());
  EXPECT_EQ(fill(&m, 1).code(), Code::kNoSpace);
  Index last = m.wal->last().index;
  std::vector<std::string> answers;
  Batch a;
  a.entries = {entry(1, last.value + 1, std::string(3000, 'x'))};
  m.wal->append(std::move(a),
                [&](const Status& s, const Appended&) { answers.push_back(plugin::code_name(s.code())); });
  m.wal->release(last);  // its record queues behind an append that does not fit
  m.executor.run_until_idle();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(m.append({entry(1, m.wal->last().index.value + 1, std::string(3000, 'x'))}).ok());
}

TEST(WalFull, NothingStartsWithoutRoom) {
  Machine m;
  m.files->set_quota(64 << 10);
  EXPECT_EQ(m.create().code(), Code::kNoSpace);
  EXPECT_EQ(m.recover().code(), Code::kNotFound);
  m.files->set_quota(10 * (64 << 10));
  EXPECT_TRUE(m.create().ok());
}

TEST(WalFault, AFailedWriteOrSyncIsFinal) {
  for (FileOp op : {FileOp::kWrite, FileOp::kSync}) {
    for (bool inline_sync : {false, true}) {
      Machine m;
      ASSERT_TRUE(m.create().ok());
      m.wal->allow_inline(inline_sync);
      ASSERT_TRUE(m.append({entry(1, 1, "kept")}).ok());
      m.files->fail({op, ".wal", 1, false, Code::kIo});
      std::vector<std::string> answers;
      for (uint64_t i = 2; i <= 4; ++i) {
        Batch b;
        b.entries = {entry(1, i, "lost")};
        m.wal->append(std::move(b), [&answers, i](const Status& s, const Appended&) {
          answers.push_back(std::to_string(i) + plugin::code_name(s.code()));
        });
      }
      m.executor.run_until_idle();
      EXPECT_EQ(answers, (std::vector<std::string>{"2io", "3io", "4io"}));
      EXPECT_TRUE(m.wal->failed());
      EXPECT_EQ(m.wal->durable().index, Index(1));
      uint64_t operations = m.files->counters().total;
      EXPECT_EQ(m.append(vote(3)).code(), Code::kIo);
      m.wal->idle_mark();
      m.wal->release(Index(1));
      m.executor.run_until_idle();
      EXPECT_EQ(m.files->counters().total, operations) << "the file is never touched again";
      m.kill();
      m.files->power_cut(PowerCut::random(3));
      ASSERT_TRUE(m.recover().ok());
      EXPECT_EQ(m.recovered.entries.size(), 1u) << "fsync dropped the rest";
    }
  }
}

TEST(WalFault, AFailedRotationIsFinalToo) {
  for (FileOp op : {FileOp::kRename, FileOp::kSyncDir}) {
    Machine m;
    ASSERT_TRUE(m.create().ok());
    m.files->fail({op, "", 1, true, Code::kIo});
    Status s = fill(&m, 1);
    EXPECT_EQ(s.code(), Code::kIo) << s.text();
    EXPECT_TRUE(m.wal->failed());
    Position durable = m.wal->durable();
    m.kill();
    m.files->clear_faults();
    m.files->power_cut(PowerCut::keep_none());
    ASSERT_TRUE(m.recover().ok());
    EXPECT_EQ(m.recovered.last, durable);
  }
}

TEST(WalFault, NoDescriptorForASegmentIsNotTheEnd) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  m.files->fail({FileOp::kOpen, "spare-", 1, true, Code::kIo});
  // The spare at hand must still be opened to become a segment: so that no new one can be made is met first.
  EXPECT_EQ(fill(&m, 1).code(), Code::kNoSpace);
  EXPECT_FALSE(m.wal->failed());
  m.files->clear_faults();
  EXPECT_TRUE(m.append({entry(1, m.wal->last().index.value + 1, std::string(3000, 'x'))}).ok());
}

TEST(WalFault, AFailedRecycleIsTriedAgain) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  while (m.wal->stats().segments < 4)
    ASSERT_TRUE(m.append({entry(1, m.wal->last().index.value + 1, std::string(3000, 'x'))}).ok());
  m.files->fail({FileOp::kRename, ".wal", 1, false, Code::kIo});
  m.files->fail({FileOp::kRemove, ".wal", 1, false, Code::kIo});
  m.wal->release(m.wal->durable().index);
  m.executor.run_until_idle();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(m.append(vote(5)).ok());
  EXPECT_EQ(m.wal->stats().segments, 1u);
  ASSERT_TRUE(m.recover().ok());
}

}  // namespace
}  // namespace quorate::wal
