// What a node is told at its start, validated already: flags, files and the environment are the host's.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace quorate {

// The API level we implement, the one Status and /version report: clients switch features on it.
inline constexpr char kEtcdVersion[] = "3.7.1";
inline constexpr char kEtcdMinorVersion[] = "3.7.0";  // as a cluster version

// What a quota of 0 stands for.
inline constexpr int64_t kDefaultQuotaBytes = int64_t{2} << 30;

enum class CompactionMode : uint32_t { kPeriodic = 0, kRevision = 1 };

struct NodeOptions {
  // Identity and place.
  std::string name = "default";
  std::string data_directory;  // absolute; the node's own part is below <data>/member
  std::string wal_directory;   // absolute; empty: <data>/member/wal
  std::string cluster_token = "etcd-cluster";
  std::vector<std::pair<std::string, std::vector<std::string>>> initial_cluster;  // name, its peer URLs
  std::vector<std::string> peer_urls;                                             // advertised
  std::vector<std::string> client_urls;                                           // advertised

  // The engine as plugins.toml names it; stamped into the data directory.
  std::string engine_name;  // "rocksdb"
  std::vector<std::pair<std::string, std::string>> engine_options;

  // Limits.
  uint64_t max_request_bytes = 1'572'864;
  uint32_t max_txn_ops = 128;
  int64_t quota_bytes = 0;            // 0: kDefaultQuotaBytes; negative: none
  uint64_t cache_bytes = 224u << 20;  // of records in memory

  // Time, in milliseconds unless said otherwise.
  uint64_t heartbeat_ms = 100;
  uint64_t election_ms = 1000;
  uint64_t watch_progress_interval_ns = 600'000'000'000;

  // What is logged as slow: entries that take longer to apply and reads that take longer to answer; unary
  // calls.
  uint64_t warning_apply_ns = 100'000'000;
  uint64_t warning_unary_ns = 300'000'000;

  // Maintenance.
  CompactionMode compaction_mode = CompactionMode::kPeriodic;
  int64_t compaction_retention = 0;  // periodic: nanoseconds; revision: revisions; 0: off
  uint32_t compaction_batch_limit = 1000;
  uint64_t compaction_sleep_ns = 10'000'000;
  // The engine is synced, which lets the log behind it go, every so many entries at the latest. 0: as bytes
  // and time say.
  uint64_t snapshot_entries = 0;
  uint64_t wal_segment_bytes = 32u << 20;  // raised to what the largest request needs
  bool unsafe_no_fsync = false;
  bool pre_vote = true;
};

}  // namespace quorate
