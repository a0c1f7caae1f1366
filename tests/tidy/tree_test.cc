// Every rule, run on the tree as it is.
#include <gtest/gtest.h>

#include "tidy/rules.h"

namespace quorate::tidy {
namespace {

const Tree& tree() {
  static const Tree tree = read_tree(QUORATE_SOURCE_DIR);
  return tree;
}

void expect_none(const Findings& findings) {
  for (const Finding& finding : findings) ADD_FAILURE() << describe(finding);
}

TEST(Tree, IsTheWholeProject) {
  // A walk that sees nothing would find nothing.
  for (const char* path :
       {"CMakeLists.txt", "dev", ".ci/run", "core/CMakeLists.txt", "tests/tidy/tree_test.cc"})
    EXPECT_TRUE(tree().has(path)) << path;
  EXPECT_FALSE(tree().has("build"));
  EXPECT_FALSE(tree().has(".git"));
  EXPECT_GT(tree().files.size(), 40u);
}

TEST(Tree, Layering) { expect_none(check_layering(tree())); }
TEST(Tree, IncludesExist) { expect_none(check_includes_exist(tree())); }
TEST(Tree, BannedCode) { expect_none(check_banned_code(tree())); }
TEST(Tree, CorePurity) { expect_none(check_core_purity(tree())); }
TEST(Tree, Headers) { expect_none(check_headers(tree())); }
TEST(Tree, Sizes) { expect_none(check_sizes(tree())); }
TEST(Tree, Blanks) { expect_none(check_blanks(tree())); }
TEST(Tree, Words) { expect_none(check_words(tree())); }
TEST(Tree, Links) { expect_none(check_links(tree())); }
TEST(Tree, Plugins) { expect_none(check_plugins(tree())); }
TEST(Tree, Refusals) { expect_none(check_refusals(tree())); }
TEST(Tree, Scripts) { expect_none(check_scripts(tree(), QUORATE_SOURCE_DIR)); }

}  // namespace
}  // namespace quorate::tidy
