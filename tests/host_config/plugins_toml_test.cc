// plugins.toml: every key, every error, and where it is looked for.
#include "host/plugins_toml.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>

#include "host_config/process.h"

namespace quorate::host {
namespace {

using plugin::ListenerRole;
using test::TempFolder;

const char kHash[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

TEST(PluginsToml, EveryKey) {
  PluginsConfig config;
  plugin::Status status = parse_plugins(std::string(R"(
[storage]
plugin = "storage-memory"
path = "x/libm.so"
sha256 = ")") + kHash + R"("
[storage.options]
block_cache = 65536
compression = "lz4"
direct = true
ratio = 1.5
write.buffer = "16MiB"

[[transport]]
plugin = "transport-tcp"
listeners = ["client"]
options = { depth = 3 }

[[transport]]
plugin = "transport-grpc"
path = "/abs/libg.so"
listeners = ["peer", "client"]
[transport.options]
window = 9

[peer]
transport = "transport-grpc"
)",
                                        "/etc/q/plugins.toml", &config);
  ASSERT_TRUE(status.ok()) << status.text();
  EXPECT_EQ(config.source, "/etc/q/plugins.toml");
  const PluginRequest& storage = config.storage.request;
  EXPECT_EQ(storage.kind, plugin::Kind::kStorage);
  EXPECT_EQ(storage.name, "memory");
  EXPECT_EQ(storage.path, "/etc/q/x/libm.so");  // relative to the file
  EXPECT_EQ(storage.sha256, kHash);
  std::vector<std::pair<std::string, std::string>> options = storage.options;
  std::sort(options.begin(), options.end());
  EXPECT_EQ(options, (std::vector<std::pair<std::string, std::string>>{{"block_cache", "65536"},
                                                                       {"compression", "lz4"},
                                                                       {"direct", "true"},
                                                                       {"ratio", "1.5"},
                                                                       {"write.buffer", "16MiB"}}));
  EXPECT_EQ(config.storage.where, "/etc/q/plugins.toml:2");
  ASSERT_EQ(config.storage.option_where.size(), storage.options.size());
  const std::map<std::string, int> kLines = {
      {"block_cache", 7}, {"compression", 8}, {"direct", 9}, {"ratio", 10}, {"write.buffer", 11}};
  for (size_t i = 0; i < storage.options.size(); ++i)
    EXPECT_EQ(config.storage.option_where[i],
              "/etc/q/plugins.toml:" + std::to_string(kLines.at(storage.options[i].first)));
  ASSERT_EQ(config.transports.size(), 2u);
  EXPECT_EQ(config.transports[0].request.name, "tcp");
  EXPECT_EQ(config.transports[0].roles, std::vector<ListenerRole>{ListenerRole::kClient});
  EXPECT_EQ(config.transports[0].request.options[0], (std::pair<std::string, std::string>{"depth", "3"}));
  EXPECT_EQ(config.transports[0].option_where, std::vector<std::string>{"/etc/q/plugins.toml:16"});
  EXPECT_EQ(config.transports[1].request.path, "/abs/libg.so");
  EXPECT_EQ(config.transports[1].request.options[0], (std::pair<std::string, std::string>{"window", "9"}));
  EXPECT_EQ(config.peer_transport, "transport-grpc");
}

TEST(PluginsToml, AnAbsentSectionKeepsItsDefault) {
  PluginsConfig config;
  ASSERT_TRUE(parse_plugins("", "f", &config).ok());
  EXPECT_EQ(config.storage.request.name, "rocksdb");
  ASSERT_EQ(config.transports.size(), 1u);
  EXPECT_EQ(config.transports[0].request.name, "grpc");
  ASSERT_TRUE(parse_plugins("[storage]\nplugin='storage-leveldb'", "f", &config).ok());
  EXPECT_EQ(config.storage.request.name, "leveldb");
  EXPECT_EQ(config.transports[0].request.name, "grpc");
  EXPECT_EQ(config.peer_transport, "transport-grpc");
}

// What is checked in is the default profile.
TEST(PluginsToml, TheTreesOwnIsTheDefault) {
  PluginsConfig config;
  plugin::Status status = parse_plugins(test::read_file(QUORATE_SOURCE_DIR "/plugins.toml"), "f", &config);
  ASSERT_TRUE(status.ok()) << status.text();
  PluginsConfig builtin = builtin_plugins();
  EXPECT_EQ(config.storage.request.name, builtin.storage.request.name);
  ASSERT_EQ(config.transports.size(), builtin.transports.size());
  EXPECT_EQ(config.transports[0].request.name, builtin.transports[0].request.name);
  EXPECT_EQ(config.peer_transport, builtin.peer_transport);
}

TEST(PluginsToml, Errors) {
  struct {
    const char* text;
    const char* message;
  } const kCases[] = {
      {"[storge]\n", "f:1: storge: there is no such key; did you mean storage?"},
      {"x = 1\n", "f:1: x: there is no such key"},
      {"[storage]\nplugin='storage-memory'\nsha265='x'\n",
       "f:3: storage.sha265: there is no such key; did you mean storage.sha256?"},
      {"[[transport]]\nplugin='transport-grpc'\nlisteners=['client','peer']\nrole='x'\n",
       "f:4: transport.role: there is no such key"},
      {"[peer]\ntransprot='x'\n", "f:2: peer.transprot: there is no such key; did you mean peer.transport?"},
      {"[[storage]]\n", "f:1: storage: is not a table: [storage]"},
      {"[transport]\n", "f:1: transport: is not a list of tables: [[transport]]"},
      {"transport = []\n", "f:1: transport: is not a list of tables: [[transport]]"},
      {"peer = 1\n", "f:1: peer: is not a table: [peer]"},
      {"\n[storage]\npath='x'\n", "f:2: storage.plugin: is missing"},
      {"[storage]\nplugin=7\n", "f:2: storage.plugin: is not a text"},
      {"[storage]\nplugin=''\n", "f:2: storage.plugin: is not a text"},
      {"[storage]\nplugin='rocksdb'\n", "f:2: storage.plugin: \"rocksdb\" is not of the form storage-NAME"},
      {"[storage]\nplugin='transport-grpc'\n",
       "f:2: storage.plugin: \"transport-grpc\" is not of the form storage-NAME"},
      {"[storage]\nplugin='storage-memory'\nsha256='12'\n",
       "f:3: storage.sha256: is not 64 hexadecimal digits"},
      {"[storage]\nplugin='storage-memory'\noptions=1\n", "f:3: storage.options: is not a table"},
      {"[storage]\nplugin='storage-memory'\noptions={a=[1]}\n",
       "f:3: storage.options.a: is a list; options are single values"},
      {"[[transport]]\nplugin='transport-grpc'\nlisteners=['clinet']\n",
       "f:3: transport.listeners: \"clinet\" is neither \"client\" nor \"peer\""},
      {"[[transport]]\nplugin='transport-grpc'\nlisteners=[]\n",
       "f:3: transport.listeners: is not a list of \"client\" and \"peer\""},
      {"[[transport]]\nplugin='transport-grpc'\nlisteners=['peer','peer']\n",
       "f:3: transport.listeners: \"peer\" is there twice"},
      {"[[transport]]\nplugin='transport-grpc'\n[[transport]]\nplugin='transport-grpc'\n",
       "f:3: transport.plugin: \"transport-grpc\" is there twice"},
      {"[[transport]]\nplugin='transport-grpc'\nlisteners=['client']\n",
       "f:1: transport.listeners: \"transport-grpc\" is peer.transport, and so needs \"peer\""},
      {"[peer]\ntransport='transport-tcp'\n",
       "f:2: peer.transport: \"transport-tcp\" is not among the transports"},
      {"[storage]\nplugin='storage-memory'\n[storage]\n", nullptr},
      {"[storage\n", nullptr},
      {"a = \xff\n", nullptr},
  };
  for (const auto& c : kCases) {
    PluginsConfig config;
    plugin::Status status = parse_plugins(c.text, "f", &config);
    if (c.message != nullptr) {
      EXPECT_STREQ(status.text(), c.message);
      continue;
    }
    EXPECT_EQ(std::string(status.text()).rfind("f:", 0), 0u) << status.text();
    EXPECT_NE(std::string(status.text()).find("is not TOML"), std::string::npos) << status.text();
  }
}

TEST(PluginsToml, IsLookedForInOrder) {
  TempFolder folder;
  PluginsConfig config;
  ASSERT_TRUE(find_plugins("", folder.path(), &config).ok());
  EXPECT_EQ(config.storage.request.name, "rocksdb");
  std::string own = folder.write("plugins.toml", "[storage]\nplugin='storage-memory'\n");
  ASSERT_TRUE(find_plugins("", folder.path(), &config).ok());
  EXPECT_EQ(config.source, own);
  EXPECT_EQ(config.storage.request.name, "memory");
  std::string chosen = folder.write("other.toml", "[storage]\nplugin='storage-leveldb'\n");
  ASSERT_TRUE(find_plugins(chosen, folder.path(), &config).ok());
  EXPECT_EQ(config.storage.request.name, "leveldb");
  plugin::Status status = find_plugins(folder / "none.toml", folder.path(), &config);
  EXPECT_EQ(std::string(status.text()),
            "--plugins: " + (folder / "none.toml") + ": No such file or directory");
}

TEST(PluginsToml, OthersMustNotHaveAHandInIt) {
  TempFolder folder;
  std::string file = folder.write("plugins.toml", "[storage]\nplugin='storage-memory'\n");
  chmod(file.c_str(), 0666);
  PluginsConfig config;
  for (const std::string& chosen : {std::string(), file}) {
    plugin::Status status = find_plugins(chosen, folder.path(), &config);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(std::string(status.text()).find(file), std::string::npos) << status.text();
  }
}

TEST(PluginsToml, DescribesItself) {
  PluginsConfig config;
  ASSERT_TRUE(
      parse_plugins("[storage]\nplugin='storage-memory'\n[storage.options]\na='b'\n", "f", &config).ok());
  PluginsConfig again;
  plugin::Status status = parse_plugins(describe(config), "g", &again);
  ASSERT_TRUE(status.ok()) << status.text();
  EXPECT_EQ(again.storage.request.name, "memory");
  EXPECT_EQ(again.storage.request.options, config.storage.request.options);
  EXPECT_EQ(again.transports.size(), 1u);
}

}  // namespace
}  // namespace quorate::host
