// Every rule must be able to fail: each is fed something that breaks it, and something close that does not.
#include "tidy/rules.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace quorate::tidy {
namespace {

using Check = Findings (*)(const Tree&);

// What `check` says about a tree of this one file.
Findings judge(Check check, std::string path, std::string content) {
  Tree tree;
  tree.add(std::move(path), std::move(content));
  return check(tree);
}

::testing::AssertionResult refuses(Check check, const std::string& path, const std::string& content,
                                   size_t line = 1) {
  Findings findings = judge(check, path, content);
  if (findings.empty()) return ::testing::AssertionFailure() << path << " passes: " << content;
  if (findings[0].line != line)
    return ::testing::AssertionFailure() << "wrong line: " << describe(findings[0]);
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult accepts(Check check, const std::string& path, const std::string& content) {
  Findings findings = judge(check, path, content);
  if (findings.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << describe(findings[0]);
}

TEST(CodeOf, BlanksCommentsAndLiteralsButNoCode) {
  EXPECT_EQ(code_of("a // b\nc"), "a     \nc");
  EXPECT_EQ(code_of("a /* b\n */ c"), "a     \n    c");
  EXPECT_EQ(code_of("f(\"x\\\"y\", 'z', '\\'')"), "f(      ,    ,     )");
  EXPECT_EQ(code_of("R\"q(a\"b)q\" + 1'000 + u8\"x\""), "R          + 1'000 + u8   ");
  EXPECT_EQ(code_of("#include \"a.h\"  // why"), "#include \"a.h\"        ");
}

TEST(Layering, CoreKnowsNoBackendAndNoHostLibrary) {
  const char* path = "core/src/raft/log.cc";
  for (const char* name :
       {"grpcpp/grpcpp.h", "google/protobuf/message.h", "rocksdb/db.h", "leveldb/db.h", "openssl/ssl.h",
        "boost/asio.hpp", "boost/dll.hpp", "toml++/toml.h", "yaml-cpp/yaml.h", "spdlog/spdlog.h",
        "nghttp2/nghttp2.h", "dlfcn.h", "unistd.h", "sys/stat.h", "thread", "fstream", "boost/thread.hpp"})
    EXPECT_TRUE(refuses(check_layering, path, "\n#include <" + std::string(name) + ">\n", 2)) << name;
  for (const char* name : {"vector", "boost/uuid/detail/sha1.hpp", "boost/intrusive/list.hpp",
                           "cereal/cereal.hpp", "nmmintrin.h"})
    EXPECT_TRUE(accepts(check_layering, path, "#include <" + std::string(name) + ">\n")) << name;
  EXPECT_TRUE(accepts(check_layering, path, "// #include <dlfcn.h>\n"));
  EXPECT_TRUE(accepts(check_layering, path, "#include <quorate/plugin/base.h>\n"));
  EXPECT_TRUE(refuses(check_layering, path, "#  include <rocksdb/db.h>\n"));
  EXPECT_TRUE(accepts(check_layering, "core/src/runtime/posix_files.cc", "#include <unistd.h>\n"));
  EXPECT_TRUE(refuses(check_layering, "core/src/runtime/posix_files.cc", "#include <dlfcn.h>\n"));
  EXPECT_TRUE(refuses(check_layering, "core/src/runtime/files.cc", "#include <unistd.h>\n"));
  EXPECT_TRUE(refuses(check_layering, path, "#include \"leveldb/db.h\"\n"));
}

TEST(Layering, TheSdkIsSelfContained) {
  const char* path = "core/include/quorate/plugin/base.h";
  EXPECT_TRUE(refuses(check_layering, path, "#include \"quorate/runtime.h\"\n"));
  EXPECT_TRUE(refuses(check_layering, path, "#include <boost/uuid/uuid.hpp>\n"));
  EXPECT_TRUE(accepts(check_layering, path, "#include <atomic>\n#include \"quorate/plugin/host.h\"\n"));
}

TEST(Layering, APluginSeesTheSdkAndItsBackend) {
  const char* rocks = "plugins/storage-rocksdb/plugin.cc";
  EXPECT_TRUE(
      accepts(check_layering, rocks, "#include <rocksdb/db.h>\n#include <quorate/plugin/storage.h>\n"));
  EXPECT_TRUE(refuses(check_layering, rocks, "#include <leveldb/db.h>\n"));
  EXPECT_TRUE(refuses(check_layering, rocks, "#include \"quorate/runtime.h\"\n"));
  EXPECT_TRUE(refuses(check_layering, rocks, "#include \"base/assert.h\"\n"));
  EXPECT_TRUE(refuses(check_layering, rocks, "#include <spdlog/spdlog.h>\n"));
  EXPECT_TRUE(refuses(check_layering, rocks, "#include <dlfcn.h>\n"));
  const char* grpc = "plugins/transport-grpc/session.cc";
  EXPECT_TRUE(accepts(check_layering, grpc, "#include <nghttp2/nghttp2.h>\n#include \"session.h\"\n"));
  EXPECT_TRUE(refuses(check_layering, grpc, "#include <sys/socket.h>\n"));
  EXPECT_TRUE(refuses(check_layering, grpc, "#include <grpcpp/grpcpp.h>\n"));
  EXPECT_TRUE(refuses(check_layering, grpc, "#include <boost/asio.hpp>\n"));
}

TEST(Layering, TheHostAndTheToolsKeepToTheirLibraries) {
  EXPECT_TRUE(
      accepts(check_layering, "host/src/main.cc", "#include <boost/asio.hpp>\n#include <toml++/toml.h>\n"));
  EXPECT_TRUE(refuses(check_layering, "host/src/main.cc", "#include <rocksdb/db.h>\n"));
  EXPECT_TRUE(accepts(check_layering, "host/sha256.cc", "#include <openssl/evp.h>\n"));
  EXPECT_TRUE(refuses(check_layering, "host/tls.cc", "#include <openssl/ssl.h>\n"));
  EXPECT_TRUE(accepts(check_layering, "ctl/main.cc", "#include <grpcpp/grpcpp.h>\n"));
  EXPECT_TRUE(refuses(check_layering, "ctl/main.cc", "#include <boost/asio.hpp>\n"));
}

TEST(IncludesExist, FindsWhatIsMissingAndRespectsWhoMaySeeWhat) {
  Tree tree;
  tree.add("core/src/wal/log.h", "");
  tree.add("core/src/wal/log.cc", "#include \"wal/log.h\"\n#include \"log.h\"\n");
  tree.add("tests/wire/kv.proto", "");
  tree.add("tests/wire/kv_test.cc", "#include \"kv.grpc.pb.h\"\n#include \"wal/log.h\"\n");
  EXPECT_TRUE(check_includes_exist(tree).empty());
  tree.add("plugins/storage-x/plugin.cc", "#include \"wal/log.h\"\n");
  tree.add("host/a.cc", "\n#include <quorate/none.h>\n");
  Findings findings = check_includes_exist(tree);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(describe(findings[0]), "plugins/storage-x/plugin.cc:1: include-exists: no such file: wal/log.h");
  EXPECT_EQ(findings[1].line, 2u);
}

TEST(BannedCode, AssertsRegexesAndUnboundedCalls) {
  EXPECT_TRUE(refuses(check_banned_code, "host/a.cc", "\nassert(x);\n", 2));
  EXPECT_TRUE(refuses(check_banned_code, "host/a.cc", "#ifdef NDEBUG\n"));
  EXPECT_TRUE(refuses(check_banned_code, "host/a.cc", "std::regex r;\n"));
  EXPECT_TRUE(refuses(check_banned_code, "host/a.cc", "#include <regex>\n"));
  EXPECT_TRUE(refuses(check_banned_code, "host/a.cc", "sprintf(a, b);\n"));
  EXPECT_TRUE(accepts(check_banned_code, "host/a.cc",
                      "static_assert(1);\nQUORATE_ASSERT(a, \"assert(b)\");\nsnprintf(a);  // NDEBUG\n"));
}

TEST(CorePurity, NoThreadsTimeRandomnessOrFiles) {
  for (const char* code : {"std::thread t;", "std::chrono::steady_clock::now();", "auto t = time(nullptr);",
                           "return std::time(nullptr);", "::time(0);", "x = rand();", "std::random_device d;",
                           "fopen(p, m);", "std::ofstream o;", "getenv(n);", "clock_gettime(c, &t);"}) {
    EXPECT_TRUE(refuses(check_core_purity, "core/src/a.cc", code)) << code;
    EXPECT_TRUE(accepts(check_core_purity, "host/a.cc", code)) << code;
    EXPECT_TRUE(accepts(check_core_purity, "core/src/runtime/posix_a.cc", code)) << code;
  }
  for (const char* code : {"clock.time();", "clock->time();", "x = random(9);", "uint64_t time() const;",
                           "Status open(int x);", "Clock::time();", "// steady_clock", "s.open(x);",
                           "auto time = 3;", "timeout(3);", "std::chrono::milliseconds m;"})
    EXPECT_TRUE(accepts(check_core_purity, "core/src/a.cc", code)) << code;
}

TEST(Headers, GuardCommentAndNoUsingNamespace) {
  EXPECT_TRUE(refuses(check_headers, "host/a.h", "int x;\n"));
  EXPECT_TRUE(refuses(check_headers, "host/a.h", "#pragma once\nusing namespace std;\n", 2));
  EXPECT_TRUE(refuses(check_headers, "core/include/quorate/a.h", "#pragma once\n// late\n"));
  EXPECT_TRUE(accepts(check_headers, "core/include/quorate/a.h", "// What it is.\n#pragma once\n"));
  EXPECT_TRUE(accepts(check_headers, "host/a.cc", "using namespace std;\n"));
}

TEST(Sizes, LinesAndColumns) {
  std::string lines;
  for (int i = 0; i < 800; ++i) lines += "x\n";
  EXPECT_TRUE(accepts(check_sizes, "host/a.cc", lines));
  EXPECT_TRUE(refuses(check_sizes, "host/a.cc", lines + "x\n", 0));
  EXPECT_TRUE(accepts(check_sizes, "host/a.cc", std::string(120, 'x') + "\n"));
  EXPECT_TRUE(refuses(check_sizes, "host/a.cc", "\n" + std::string(121, 'x') + "\n", 2));
  std::string umlauts;
  for (int i = 0; i < 120; ++i) umlauts += "\xc3\xa4";
  EXPECT_TRUE(accepts(check_sizes, "host/a.cc", umlauts));
  EXPECT_TRUE(accepts(check_sizes, "tests/raft/a.txt", std::string(300, 'x')));
  EXPECT_TRUE(refuses(check_sizes, "dev", "#!/bin/sh\n" + std::string(121, 'x'), 2));
}

TEST(Blanks, TabsTrailingBlanksAndTheLastNewline) {
  EXPECT_TRUE(refuses(check_blanks, "a.cc", "x\n\ty\n", 2));
  EXPECT_TRUE(refuses(check_blanks, "a.md", "x \n"));
  EXPECT_TRUE(refuses(check_blanks, "a.toml", "x\r\n"));
  EXPECT_TRUE(refuses(check_blanks, "a.cc", "x"));
  EXPECT_TRUE(accepts(check_blanks, "a.cc", "  x y\n\n"));
  EXPECT_TRUE(accepts(check_blanks, "tests/data.txt", "x\t \n"));
}

TEST(Words, UnfinishedWorkAndPathsOfOneMachine) {
  const std::string later = std::string("TO") + "DO";
  EXPECT_TRUE(refuses(check_words, "a.cc", "// " + later + ": more\n"));
  EXPECT_TRUE(refuses(check_words, "a.md", "\n" + std::string("FIX") + "ME\n", 2));
  EXPECT_TRUE(accepts(check_words, "a.cc", "int my" + later + "s;\n"));
  EXPECT_TRUE(refuses(check_words, "a.txt", "see " + std::string("/wo") + "rk/main\n"));
  EXPECT_TRUE(refuses(check_words, "a.cc", "\"" + std::string("/tmp") + "/ref\"\n"));
  EXPECT_TRUE(accepts(check_words, "a.cc", "\"data/wo" + std::string("rk/x\"\n")));
}

TEST(Links, FilesAndHeadingsExist) {
  Tree tree;
  tree.add("docs/b.md", "# A Title, with `code`\n\n## Two\n");
  tree.add("docs/a.md", "[x](b.md) [y](../docs/b.md#two) [z](b.md#a-title-with-code) [w](https://e.org/x)\n");
  tree.add("docs/c.md", "`[x](none.md)`\n```\n[x](none.md)\n```\n[up](..) [here](#c)\n# C\n");
  EXPECT_TRUE(check_links(tree).empty());
  EXPECT_TRUE(refuses(check_links, "docs/a.md", "\n[x](none.md)\n", 2));
  EXPECT_TRUE(refuses(check_links, "docs/a.md", "# One\n[x](#two)\n", 2));
  EXPECT_TRUE(refuses(check_links, "docs/a.md", "[x](/etc/hosts)\n"));
}

Tree plugin_tree() {
  Tree tree;
  tree.add("cmake/QuoratePlugin.cmake", "-Wl,--version-script=x\n");
  tree.add("cmake/quorate_plugin.map", "{ global: quorate_plugin_v*; local: *; };\n");
  tree.add("plugins/CMakeLists.txt", "");
  return tree;
}

TEST(Plugins, ReadmeNameAndTheVersionScript) {
  Tree tree = plugin_tree();
  tree.add("plugins/storage-x/README.md", "");
  tree.add("plugins/storage-x/CMakeLists.txt", "quorate_add_plugin(storage-x SOURCES plugin.cc)\n");
  EXPECT_TRUE(check_plugins(tree).empty());
  Tree bare = plugin_tree();
  bare.add("plugins/storage-x/CMakeLists.txt", "add_library(storage-x MODULE plugin.cc)\n");
  EXPECT_EQ(check_plugins(bare).size(), 2u);
  Tree misnamed = plugin_tree();
  misnamed.add("plugins/x/README.md", "");
  misnamed.add("plugins/x/CMakeLists.txt", "quorate_add_plugin(x SOURCES plugin.cc)\n");
  EXPECT_EQ(check_plugins(misnamed).size(), 1u);
  EXPECT_EQ(check_plugins(Tree()).size(), 2u) << "neither the helper nor the map";
}

TEST(Refusals, TheGuideListsThemInOrder) {
  const std::string table =
      "    {Refusal::kA, Code::kInvalid, \"is {}\"},\n"
      "    {Refusal::kB, Code::kInvalid,\n     \"a \\\"long\\\" \"\n     \"text\"},\n";
  auto judge_guide = [&](const std::string& guide) {
    Tree tree;
    tree.add("host/loader_refusals.cc", table);
    tree.add("docs/plugin-guide.md", guide);
    return check_refusals(tree);
  };
  EXPECT_TRUE(judge_guide("| `is {}` | x |\n| `a \"long\" text` | |\n").empty());
  EXPECT_EQ(judge_guide("| `a \"long\" text` | |\n| `is {}` | |\n").size(), 1u) << "another order";
  EXPECT_EQ(judge_guide("| `is {} now` | |\n| `a \"long\" text` | |\n").size(), 1u);
  EXPECT_EQ(judge_guide("").size(), 2u);
  EXPECT_EQ(judge(check_refusals, "docs/plugin-guide.md", "").size(), 1u) << "no table";
  EXPECT_EQ(judge(check_refusals, "host/loader_refusals.cc", table).size(), 1u) << "no guide";
}

TEST(Scripts, BashReadsThem) {
  std::string root = ::testing::TempDir() + "quorate-tidy-" + "XXXX" + "XX";
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  std::filesystem::create_directory(root + "/build");
  for (const auto& [name, text] :
       {std::pair("good", "#!/usr/bin/env bash\nif true; then echo; fi\n"),
        std::pair("it's bad.sh", "if true; then echo\n"), std::pair("build/bad.sh", "if\n"),
        std::pair("python", "#!/usr/bin/python3\nif\n")})
    std::ofstream(root + "/" + name) << text;
  Findings findings = check_scripts(read_tree(root), root);
  std::filesystem::remove_all(root);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].path, "it's bad.sh");
}

}  // namespace
}  // namespace quorate::tidy
