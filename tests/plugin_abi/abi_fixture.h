// Folders, copies and changed copies of the fixtures.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "host/loader.h"
#include "quorate/plugin/storage.h"

namespace quorate::host::test {

namespace fs = std::filesystem;

inline std::string fixture_folder() { return std::string(QUORATE_BINARY_DIR) + "/tests/plugin_abi/plugins"; }

inline std::string contents_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

inline void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  chmod(path.c_str(), 0644);
}

class AbiTest : public ::testing::Test {
 protected:
  AbiTest() {
    std::string pattern = (fs::temp_directory_path() / "quorate-abi-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  ~AbiTest() override { fs::remove_all(folder); }

  std::string fixture(const std::string& name) { return fixture_folder() + "/lib" + name + ".so"; }
  // A copy of a good plugin in the test's own folder, its bytes changed by `change(bytes, offset of the
  // descriptor)`.
  template <typename Change>
  std::string changed(Change change) {
    std::string bytes = contents_of(fixture("storage-fixture"));
    size_t at = bytes.find(std::string(plugin::kMagic, sizeof plugin::kMagic));
    EXPECT_NE(at, std::string::npos);
    change(bytes, at);
    std::string path = folder + "/plugin-" + std::to_string(++count_) + ".so";
    put(path, bytes);
    return path;
  }
  std::string copy() {
    return changed([](std::string&, size_t) {});
  }
  static PluginRequest request(const std::string& path, const std::string& name = "fixture") {
    PluginRequest r;
    r.name = name;
    r.path = path;
    return r;
  }
  plugin::Status load(const PluginRequest& r) {
    Loader loader(nullptr);
    plugin::Ref<plugin::Engine> engine;
    return loader.make(r, &engine);
  }
  // The refusal's exact text.
  static std::string text(Refusal refusal, const std::string& path,
                          std::initializer_list<std::string_view> values = {}) {
    return refuse(refusal, path, values).text();
  }

  std::string folder;

 private:
  int count_ = 0;
};

}  // namespace quorate::host::test
