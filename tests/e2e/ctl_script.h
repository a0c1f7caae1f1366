// Runs a script of etcdctl commands. A line is one of
//   ARGUMENTS [<< TEXT]       one command, with blanks and quotes as in a shell; TEXT is its input, \n a
//   line's end start W ARGUMENTS         a command that goes on, named W until W TEXT              waits
//   until it has written that stop W                    interrupts it and shows what it wrote wait W waits
//   until it ends by itself
// $MEMBER stands for the member's id in hex, $L1, $L2 … for the leases that the script was granted.
//
//   QUORATE_ETCDCTL   the etcdctl to use (default: on PATH). Recorded answers are compared with those
//   of 3.4's.
#pragma once

#include "e2e/server.h"
#include "e2e/transcript.h"

namespace quorate::test {

const std::string& etcdctl();
bool etcdctl_is_34();
std::vector<std::string> shell_words(std::string_view line);
// Standard output, the lines of standard error that start with "Error:", and the exit code, without what
// differs from server to server or run to run.
Transcript run_ctl_script(const Script& script, const Server& server);

}  // namespace quorate::test
