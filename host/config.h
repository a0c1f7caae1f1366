// What a node is started with: flags, environment and file, put together and checked.
#pragma once

#include <string>
#include <vector>

#include "host/config_urls.h"
#include "host/flags_parse.h"
#include "host/log.h"
#include "quorate/options.h"
#include "quorate/plugin/transport.h"

namespace quorate::host {

struct Config {
  FlagValues values;
  NodeOptions node;
  std::vector<Url> listen_client;
  std::vector<Url> listen_peer;
  plugin::TransportLimits limits;
  bool reuse_port = false;
  bool join_existing = false;  // --initial-cluster-state=existing
  Members initial_cluster;
  std::vector<Url> advertise_peer;
  LogOptions log;
  std::string config_file;   // where `values` come from, if not from flags
  std::string plugins_file;  // --plugins
  bool check_only = false;   // --check-config
  std::vector<Notice> notices;
};

// What the command line asks for.
enum class Action : uint32_t { kRun, kHelp, kVersion };

// Reads everything; files it opens are named in errors. Even after an error config->log is what the lines
// about it should be written by, as far as it could be found out.
FlagError read_config(const std::vector<std::string>& arguments, const Environment& environment,
                      Config* config, Action* action);

// The rules that hold for a data directory that is still empty: a member that has data ignores --initial-*.
plugin::Status check_bootstrap(const Config& config);

// One line per flag: name: "value"  # where from. The value is what the node goes by, not what was written:
// for an empty --data-dir the folder, for a quota of 0 its bytes. Given as flags, the values say the same
// again.
std::string describe(const Config& config);

// ---- Parts, for tests

// Sets `values` from a YAML file (JSON is YAML). Errors name the file and the line.
plugin::Status apply_yaml_file(const std::string& path, FlagValues* values);
// As above; `name` stands for the file in errors.
plugin::Status apply_yaml(const std::string& text, const std::string& name, FlagValues* values);
// From values to everything else in *config.
plugin::Status build_config(Config* config);
// --feature-gates: invalid for a gate that does not exist or whose promise nothing keeps.
plugin::Status check_feature_gates(const std::string& text, std::vector<Notice>* notices);
// --auto-compaction-retention, as NodeOptions has it.
plugin::Status parse_retention(CompactionMode mode, const std::string& text, int64_t* out);

}  // namespace quorate::host
