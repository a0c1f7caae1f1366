// The layout rules of the project, each a pure function of the tree. What they forbid is written down in
// docs/testing.md; the unit tests feed every rule something that breaks it.
#pragma once

#include <vector>

#include "tidy/source.h"

namespace quorate::tidy {

using Findings = std::vector<Finding>;

// Layering: who may include what.
Findings check_layering(const Tree& tree);
Findings check_includes_exist(const Tree& tree);

// Code: what no source of ours says.
Findings check_banned_code(const Tree& tree);
Findings check_core_purity(const Tree& tree);
Findings check_headers(const Tree& tree);

// Text: sizes, blanks, words.
Findings check_sizes(const Tree& tree);
Findings check_blanks(const Tree& tree);
Findings check_words(const Tree& tree);

// Documents, plugins, scripts.
Findings check_links(const Tree& tree);
Findings check_plugins(const Tree& tree);
// docs/plugin-guide.md lists every text of the loader's table of refusals, in its order.
Findings check_refusals(const Tree& tree);
// Runs `bash -n` on every script; `root` is where the tree lies on the disk.
Findings check_scripts(const Tree& tree, const std::string& root);

}  // namespace quorate::tidy
