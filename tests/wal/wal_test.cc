// The log's contract, one promise at a time.
#include "wal/wal.h"

#include <gtest/gtest.h>

#include "machine.h"
#include "wal/inline_gate.h"

namespace quorate::wal {
namespace {

using Texts = std::vector<std::string>;

TEST(Wal, ThereIsNothingToRecoverAtFirst) {
  Machine m;
  EXPECT_EQ(m.recover().code(), Code::kNotFound);
  m.files->make_dirs("/data/wal");
  EXPECT_EQ(m.recover().code(), Code::kNotFound);
  ASSERT_TRUE(m.create().ok());
  m.wal.reset();
  EXPECT_EQ(m.create().code(), Code::kInvalid);
}

TEST(Wal, RemembersEverything) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  Batch b;
  b.hard_state = raft::HardState{Term(3), MemberId(8)};
  b.members = "m1";
  b.entries = {entry(3, 1, ""), entry(3, 2, "two"), entry(3, 3, std::string(5000, 'x'))};
  ASSERT_TRUE(m.append(std::move(b)).ok());
  ASSERT_TRUE(m.append({entry(3, 4, "four")}).ok());
  EXPECT_EQ(m.wal->durable(), (Position{Index(4), Term(3)}));
  ASSERT_TRUE(m.recover().ok());
  const Recovered& r = m.recovered;
  EXPECT_EQ(r.metadata, (Metadata{ClusterId(7), MemberId(8), "node", "cfg"}));
  EXPECT_EQ(r.hard_state, (raft::HardState{Term(3), MemberId(8)}));
  EXPECT_EQ(r.members, "m1");
  EXPECT_EQ(r.base, (Base{Index(0), Term(0), "m0", "db-1"}));
  EXPECT_EQ(r.start, (Position{Index(0), Term(0)}));
  EXPECT_EQ(r.last, (Position{Index(4), Term(3)}));
  EXPECT_EQ(m.texts(), (Texts{"3:1:", "3:2:two", "3:3:" + std::string(5000, 'x'), "3:4:four"}));
  EXPECT_EQ(r.entries[0].type, raft::EntryType::kNoOp);
  EXPECT_EQ(r.next_batch, 3u);
  EXPECT_FALSE(r.torn_tail);
}

TEST(Wal, OneOwnerAtATime) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  Recovered r;
  std::unique_ptr<Wal> second;
  EXPECT_EQ(Wal::recover(m.runtime, m.options, &r, &second).code(), Code::kBusy);
}

TEST(Wal, OverwritesConflictingEntries) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  ASSERT_TRUE(m.append({entry(1, 1, "a"), entry(1, 2, "b"), entry(1, 3, "c")}).ok());
  ASSERT_TRUE(m.append({entry(2, 2, "B")}).ok());
  EXPECT_EQ(m.wal->last(), (Position{Index(2), Term(2)}));
  ASSERT_TRUE(m.recover().ok());
  EXPECT_EQ(m.texts(), (Texts{"1:1:a", "2:2:B"}));
  ASSERT_TRUE(m.append({entry(4, 1, "A")}).ok());
  ASSERT_TRUE(m.recover().ok());
  EXPECT_EQ(m.texts(), (Texts{"4:1:A"}));
}

TEST(Wal, RefusesWhatContradictsTheLog) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  ASSERT_TRUE(m.append({entry(2, 1, "a")}).ok());
  EXPECT_EQ(m.append({entry(2, 3, "gap")}).code(), Code::kInvalid);
  EXPECT_EQ(m.append({entry(2, 0, "zero")}).code(), Code::kInvalid);
  EXPECT_EQ(m.append({entry(1, 2, "older")}).code(), Code::kInvalid);
  EXPECT_EQ(m.append({entry(2, 2, "b"), entry(2, 4, "hole")}).code(), Code::kInvalid);
  EXPECT_EQ(m.append({entry(2, 2, std::string(max_entry_bytes(m.options) + 1, 'x'))}).code(), Code::kInvalid);
  Batch b;
  b.members = std::string(60'000, 'm');
  EXPECT_EQ(m.append(std::move(b)).code(), Code::kInvalid);
  EXPECT_EQ(m.wal->last().index, Index(1));
  EXPECT_TRUE(m.append({entry(2, 2, std::string(max_entry_bytes(m.options), 'x'))}).ok());
  ASSERT_TRUE(m.recover().ok());
  EXPECT_EQ(m.recovered.entries.size(), 2u);
}

TEST(Wal, ABaseThatFitsKeepsTheEntriesBehindIt) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  ASSERT_TRUE(m.append({entry(1, 1, "a"), entry(1, 2, "b"), entry(2, 3, "c")}).ok());
  Batch b;
  b.base = Base{Index(2), Term(1), "m2", "db-2"};
  ASSERT_TRUE(m.append(std::move(b)).ok());
  ASSERT_TRUE(m.recover().ok());
  EXPECT_EQ(m.recovered.base.directory, "db-2");
  EXPECT_EQ(m.recovered.start, (Position{Index(2), Term(1)}));
  EXPECT_EQ(m.texts(), (Texts{"2:3:c"}));
}

TEST(Wal, ABaseThatDoesNotFitRestartsTheLog) {
  for (Base base : {Base{Index(2), Term(9), "m", "db-2"}, Base{Index(20), Term(9), "m", "db-2"}}) {
    Machine m;
    ASSERT_TRUE(m.create().ok());
    ASSERT_TRUE(m.append({entry(1, 1, "a"), entry(1, 2, "b"), entry(2, 3, "c")}).ok());
    Batch b;
    b.base = base;
    b.entries = {entry(9, base.index.value + 1, "next")};
    ASSERT_TRUE(m.append(std::move(b)).ok());
    ASSERT_TRUE(m.recover().ok());
    EXPECT_EQ(m.recovered.start, base.position());
    EXPECT_EQ(m.texts(), (Texts{"9:" + std::to_string(base.index.value + 1) + ":next"}));
  }
}

TEST(Wal, AppendsThatWaitShareABatch) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  Texts answers;
  m.executor.hold(Lane::kWal);
  for (uint64_t i = 1; i <= 10; ++i) {
    Batch b;
    b.entries = {entry(1, i, "x")};
    m.wal->append(std::move(b), [&answers, i](const Status& s, const Appended& a) {
      EXPECT_TRUE(s.ok());
      EXPECT_EQ(a.last.index.value, i);
      answers.push_back(std::to_string(i));
    });
  }
  m.executor.run_until_idle();
  EXPECT_TRUE(answers.empty());
  EXPECT_NE(m.wal->stats().waiting_since_ns, 0u) << "a stalled disk can be seen";
  m.executor.resume(Lane::kWal);
  m.executor.run_until_idle();
  EXPECT_EQ(answers, (Texts{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}));
  EXPECT_EQ(m.wal->stats().batches, 2u);
  EXPECT_EQ(m.wal->stats().waiting_since_ns, 0u);
}

TEST(Wal, NothingIsAnsweredBeforeItIsDurable) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  for (uint64_t i = 1; i <= 500; ++i) {
    bool answered = false;
    Batch b;
    b.entries = {entry(1, i, std::string(i % 700, 'x'))};
    m.wal->append(std::move(b), [&](const Status& s, const Appended&) {
      EXPECT_TRUE(s.ok());
      answered = true;
      auto after = m.files->clone();
      after->power_cut(PowerCut::keep_none());
      if (i % 25 != 0) return;
      Machine other(after, i);
      ASSERT_TRUE(other.recover().ok());
      EXPECT_EQ(other.recovered.last.index.value, i);
    });
    m.executor.run_until_idle();
    ASSERT_TRUE(answered);
  }
  EXPECT_GT(m.wal->stats().rotations, 2u);
}

TEST(Wal, ALongAppendBecomesSeveralBatches) {
  Machine m;
  m.options.batch_bytes = 4096;
  ASSERT_TRUE(m.create().ok());
  std::vector<raft::Entry> entries;
  for (uint64_t i = 1; i <= 300; ++i) entries.push_back(entry(1, i, std::string(997, 'x')));
  ASSERT_TRUE(m.append(std::move(entries)).ok());
  EXPECT_GT(m.wal->stats().batches, 70u);
  EXPECT_GT(m.wal->stats().segments, 3u);
  ASSERT_TRUE(m.recover().ok());
  ASSERT_EQ(m.recovered.entries.size(), 300u);
  for (auto& e : m.recovered.entries) EXPECT_EQ(e.data.size(), 997u);
}

TEST(Wal, InlineSyncsOnlyWhileTheDiskIsQuick) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  m.wal->allow_inline(true);
  uint64_t delay_ns = 0;
  m.files->set_hook([&](FileOp op, const std::string&) {
    if (op == FileOp::kSync) m.executor.clock().set(m.executor.now() + delay_ns);
  });
  uint64_t index = 0;
  auto one = [&] { ASSERT_TRUE(m.append({entry(1, ++index, "x")}).ok()); };
  one();
  EXPECT_EQ(m.wal->stats().inline_syncs, 1u);
  delay_ns = 1'500'000;
  for (int i = 0; i < InlineGate::kSlow; ++i) one();  // still believed to be quick
  uint64_t inline_syncs = 1 + InlineGate::kSlow;
  EXPECT_EQ(m.wal->stats().inline_syncs, inline_syncs);
  EXPECT_EQ(m.wal->stats().last_sync_ns, delay_ns);
  one();
  EXPECT_EQ(m.wal->stats().inline_syncs, inline_syncs);
  delay_ns = 0;
  for (uint32_t i = 0; i < InlineGate::kSyncs; ++i) one();  // on the helper at first
  EXPECT_GT(m.wal->stats().inline_syncs, inline_syncs);
  inline_syncs = m.wal->stats().inline_syncs;
  one();
  EXPECT_EQ(m.wal->stats().inline_syncs, inline_syncs + 1);
  m.wal->allow_inline(false);
  one();
  EXPECT_EQ(m.wal->stats().inline_syncs, inline_syncs + 1);
}

TEST(Wal, ANewFileIsZeroFilledWhereTheZeroFillerComesTooLate) {
  for (bool ahead : {false, true}) {
    Machine m;
    if (ahead) m.options.zero_ahead_bytes = 32 << 10;
    ASSERT_TRUE(m.create().ok());
    // The segment and a spare; headers are far smaller.
    EXPECT_EQ(m.files->counters().bytes_written >= 2 * m.options.segment_bytes, ahead);
    ASSERT_TRUE(m.append({entry(1, 1, "x")}).ok());
    ASSERT_TRUE(m.recover().ok());
    EXPECT_EQ(m.texts(), Texts{"1:1:x"});
  }
}

TEST(Wal, ALateSyncNowAndThenLeavesTheGateOpen) {
  InlineGate gate(1000);
  EXPECT_TRUE(gate.open());
  for (int i = 0; i < 100; ++i) {
    gate.add(i % 6 == 0 ? 4000 : 100);
    EXPECT_TRUE(gate.open()) << i;
  }
  for (int i = 0; i < InlineGate::kSlow; ++i) gate.add(1001);
  EXPECT_FALSE(gate.open()) << "a quarter of the latest";
  for (uint32_t i = 0; i < InlineGate::kSyncs; ++i) gate.add(1000);
  EXPECT_TRUE(gate.open());
}

TEST(Wal, OneStallClosesTheGateForManySyncs) {
  InlineGate gate(1000);
  gate.add(1000 * InlineGate::kStallFactor);
  EXPECT_TRUE(gate.open());
  gate.add(1001 * InlineGate::kStallFactor);
  for (uint32_t i = 0; i < InlineGate::kSyncs - InlineGate::kSlow; ++i) {
    EXPECT_FALSE(gate.open()) << i;
    gate.add(1);
  }
  gate.add(1);
  EXPECT_TRUE(gate.open());
}

TEST(Wal, AnAnswerNeverComesInsideTheCall) {
  for (bool inline_sync : {false, true}) {
    Machine m;
    ASSERT_TRUE(m.create().ok());
    m.wal->allow_inline(inline_sync);
    bool inside = false;
    int answers = 0;
    std::function<void()> more = [&] {
      inside = true;
      Batch b;
      b.entries = {entry(1, m.wal->last().index.value + 1, "x")};
      m.wal->append(std::move(b), [&](const Status& s, const Appended&) {
        EXPECT_FALSE(inside);
        EXPECT_TRUE(s.ok());
        if (++answers < 5) more();
      });
      inside = false;
    };
    more();
    m.executor.run_until_idle();
    EXPECT_EQ(answers, 5);
  }
}

TEST(Wal, AMarkSealsTheLastBatch) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  m.wal->idle_mark();
  m.executor.run_until_idle();
  EXPECT_EQ(m.wal->stats().batches, 0u) << "nothing to seal";
  ASSERT_TRUE(m.append({entry(1, 1, "acknowledged")}).ok());
  std::string file = m.newest_segment();
  uint64_t at = m.files->get(file).find("acknowledged");
  {
    Machine torn(m.files->clone());
    torn.files->flip_bit(file, at, 0);
    EXPECT_TRUE(torn.recover().ok()) << "without a mark it looks like a torn tail";
    EXPECT_TRUE(torn.recovered.torn_tail);
    EXPECT_EQ(torn.recovered.entries.size(), 0u);
  }
  m.wal->idle_mark();
  m.executor.run_until_idle();
  EXPECT_EQ(m.wal->stats().batches, 2u);
  m.wal->idle_mark();
  m.executor.run_until_idle();
  EXPECT_EQ(m.wal->stats().batches, 2u) << "once is enough";
  Machine damaged(m.files->clone());
  damaged.files->flip_bit(file, at, 0);
  Status s = damaged.recover();
  EXPECT_EQ(s.code(), Code::kCorruption);
  ASSERT_TRUE(damaged.recovered.corruption);
  EXPECT_EQ(damaged.recovered.corruption->file, file);
  EXPECT_EQ(damaged.recovered.corruption->offset, at / 512 * 512);
  EXPECT_NE(std::string(s.text()).find(file), std::string::npos);
  ASSERT_TRUE(m.recover().ok());
  m.wal->idle_mark();
  m.executor.run_until_idle();
  EXPECT_EQ(m.wal->stats().batches, 0u) << "and is remembered";
}

TEST(Wal, ReleasedSegmentsAreRecycled) {
  Machine m;
  ASSERT_TRUE(m.create().ok());
  for (uint64_t i = 1; i <= 1000; ++i) {
    ASSERT_TRUE(m.append({entry(1, i, std::string(900, 'x'))}).ok());
    if (i > 20) m.wal->release(Index(i - 20));
    m.executor.run_until_idle();
  }
  Stats s = m.wal->stats();
  EXPECT_GT(s.rotations, 10u);
  EXPECT_LE(s.segments, 2u);
  EXPECT_LE(s.spares, 2u);
  EXPECT_EQ(m.files->names("/data/wal").size(), s.segments + s.spares + 1);
  EXPECT_EQ(s.bytes_on_disk, (s.segments + s.spares) * m.options.segment_bytes);
  ASSERT_TRUE(m.recover().ok());
  EXPECT_EQ(m.recovered.last.index.value, 1000u);
  EXPECT_LE(m.recovered.start.index.value, 980u);
  EXPECT_EQ(m.recovered.start.term, Term(1));
  EXPECT_EQ(m.recovered.entries.size(), 1000 - m.recovered.start.index.value);
}

TEST(Wal, AKilledProcessLosesNothingItRead) {
  // What a killed process had written but not synced is in the page cache: recovery reads it, so it must sync
  // it.
  Machine m;
  ASSERT_TRUE(m.create().ok());
  m.files->fail_power_at(2);  // the write happens, the sync does not
  Batch b;
  b.entries = {entry(1, 1, "x")};
  m.wal->append(std::move(b), [](const Status& s, const Appended&) { EXPECT_FALSE(s.ok()); });
  m.executor.run_until_idle();
  m.kill();
  Machine next(m.files->clone());  // the machine itself stayed up
  ASSERT_FALSE(next.files->pending().empty());
  ASSERT_TRUE(next.recover().ok());
  ASSERT_EQ(next.recovered.last.index.value, 1u);
  next.files->power_cut(PowerCut::keep_none());
  ASSERT_TRUE(next.recover().ok());
  EXPECT_EQ(next.recovered.last.index.value, 1u);
}

TEST(Wal, ZeroFillsAheadOfTheWriter) {
  Machine m;
  m.options.segment_bytes = 1 << 20;
  m.options.zero_ahead_bytes = 512 << 10;
  ASSERT_TRUE(m.create().ok());
  for (uint64_t i = 1; i <= 400; ++i) ASSERT_TRUE(m.append({entry(1, i, std::string(10'000, 'x'))}).ok());
  EXPECT_GT(m.files->counters().bytes_written, 400 * 10'000 + (2 << 20));
  ASSERT_TRUE(m.recover().ok());
  EXPECT_EQ(m.recovered.entries.size(), 400u);
}

TEST(Wal, UnsafeNoSyncNeverSyncs) {
  Machine m;
  m.options.sync = false;
  ASSERT_TRUE(m.create().ok());
  for (uint64_t i = 1; i <= 200; ++i) ASSERT_TRUE(m.append({entry(1, i, std::string(900, 'x'))}).ok());
  ASSERT_TRUE(m.recover().ok());
  EXPECT_EQ(m.files->counters().of(FileOp::kSync), 0u);
  EXPECT_EQ(m.files->counters().of(FileOp::kSyncDir), 0u);
}

}  // namespace
}  // namespace quorate::wal
