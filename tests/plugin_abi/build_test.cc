// What every plugin of this build exports and where it is found.
#include <cstdio>

#include "abi_fixture.h"

namespace quorate::host::test {
namespace {

std::vector<std::string> plugins_of_the_build() {
  std::vector<std::string> all = {fixture_folder() + "/libstorage-fixture.so",
                                  fixture_folder() + "/libstorage-debugstl.so"};
  if (fs::exists(fixture_folder() + "/libstorage-clang.so"))
    all.push_back(fixture_folder() + "/libstorage-clang.so");
  std::string built = std::string(QUORATE_BINARY_DIR) + "/lib/quorate/plugins";
  if (fs::exists(built))
    for (const auto& entry : fs::directory_iterator(built))
      if (entry.path().extension() == ".so") all.push_back(entry.path().string());
  return all;
}

TEST(Build, EveryPluginExportsOneSymbol) {
  for (const std::string& path : plugins_of_the_build()) {
    FILE* nm = popen(("nm -D --defined-only '" + path + "'").c_str(), "r");
    ASSERT_NE(nm, nullptr);
    std::string out;
    char line[512];
    while (fgets(line, sizeof line, nm) != nullptr) {
      std::string symbol = line;
      symbol = symbol.substr(symbol.rfind(' ') + 1);
      out += symbol;
    }
    ASSERT_EQ(pclose(nm), 0) << "nm (binutils) is needed";
    EXPECT_EQ(out, "quorate_plugin_v1\n") << path;
  }
}

TEST(Build, EveryPluginIsNamedAsItsFile) {
  for (const std::string& path : plugins_of_the_build()) {
    DescriptorInfo info;
    std::string sha256;
    plugin::Status s = inspect_plugin(path, &info, &sha256);
    ASSERT_TRUE(s.ok()) << s.text();
    EXPECT_EQ("lib" + full_plugin_name(info.kind, info.name) + ".so", fs::path(path).filename()) << path;
    EXPECT_STREQ(info.architecture.c_str(), plugin::this_architecture());
    if (path.find("clang") == std::string::npos) {
      EXPECT_STREQ(info.sanitizer.c_str(), plugin::this_sanitizer());
    }
    EXPECT_EQ(info.machine, info.architecture);
    EXPECT_EQ(sha256.size(), 64u);
  }
}

TEST(Build, InspectPrintsTheDescriptor) {
  DescriptorInfo info;
  std::string sha256;
  ASSERT_TRUE(inspect_plugin(fixture_folder() + "/libstorage-fixture.so", &info, &sha256).ok());
  std::string sanitizer = plugin::this_sanitizer();
  EXPECT_EQ(describe_plugin(info, "cafe"),
            "plugin: storage-fixture\nversion: 1.2.3\nabi: 1.0\narchitecture: " + info.architecture +
                "\nsanitizer: " + (sanitizer.empty() ? "none" : sanitizer) +
                "\ncapabilities: delete-range volatile\nsha256: cafe\n");
}

TEST(Build, PluginsAreFoundBesideTheBinary) {
  std::vector<std::string> folders = default_plugin_folders();
  ASSERT_FALSE(folders.empty());
  EXPECT_TRUE(fs::path(folders[0]).is_absolute());
  EXPECT_EQ(fs::weakly_canonical(folders[0]),
            fs::weakly_canonical(std::string(QUORATE_BINARY_DIR) + "/lib/quorate/plugins"));
}

TEST(Build, PluginNames) {
  plugin::Kind kind{};
  std::string name;
  ASSERT_TRUE(split_plugin_name("transport-grpc", &kind, &name));
  EXPECT_EQ(kind, plugin::Kind::kTransport);
  EXPECT_EQ(name, "grpc");
  EXPECT_EQ(full_plugin_name(kind, name), "transport-grpc");
  for (const char* bad : {"", "rocksdb", "storage-", "storage", "disk-rocksdb", "storage-../x"})
    EXPECT_FALSE(split_plugin_name(bad, &kind, &name)) << bad;
}

}  // namespace
}  // namespace quorate::host::test
