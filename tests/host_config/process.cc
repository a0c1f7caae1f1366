#include "host_config/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace quorate::test {

TempFolder::TempFolder() {
  char name[] = "/tmp/quorate-config-XXXXXX";
  if (mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::write(const std::string& name, const std::string& text) const {
  std::string path = path_ + "/" + name;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
  return path;
}

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

namespace {

constexpr auto kPatience = std::chrono::seconds(30);

std::vector<std::string> environment_texts(const Process::Environment& environment) {
  std::vector<std::string> texts;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string text = *entry;
    if (text.compare(0, 5, "ETCD_") != 0 && text.compare(0, 8, "QUORATE_") != 0) texts.push_back(text);
  }
  for (const auto& [name, value] : environment) texts.push_back(name + "=" + value);
  return texts;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const Environment& environment) {
  std::vector<std::string> words = {QUORATE_BINARY_DIR "/bin/quorate"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment_texts(environment);
  std::vector<char*> argv = pointers(words);
  std::vector<char*> envp = pointers(variables);
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  pid_ = fork();
  if (pid_ == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  out_fd_ = out[0];
  err_fd_ = err[0];
}

Process::~Process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (int fd : {out_fd_, err_fd_})
    if (fd >= 0) close(fd);
}

bool Process::pump(int timeout_ms) {
  pollfd fds[2] = {{out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}};
  if (out_fd_ < 0 && err_fd_ < 0) return false;
  if (poll(fds, 2, timeout_ms) <= 0) return true;
  int* owners[2] = {&out_fd_, &err_fd_};
  std::string* texts[2] = {&out_, &err_};
  for (int i = 0; i < 2; ++i) {
    if (fds[i].revents == 0) continue;
    char buffer[4096];
    ssize_t n = read(*owners[i], buffer, sizeof buffer);
    if (n > 0) texts[i]->append(buffer, static_cast<size_t>(n));
    if (n != 0) continue;
    close(*owners[i]);
    *owners[i] = -1;
  }
  return true;
}

bool Process::wait_for(const std::string& text) {
  auto until = std::chrono::steady_clock::now() + kPatience;
  while (err_.find(text) == std::string::npos)
    if (std::chrono::steady_clock::now() > until || !pump(100)) return false;
  return true;
}

int Process::wait() {
  auto until = std::chrono::steady_clock::now() + kPatience;
  while (pump(100))
    if (std::chrono::steady_clock::now() > until) return -1000;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void Process::signal(int number) { kill(pid_, number); }

Result run(const std::vector<std::string>& arguments, const Process::Environment& environment) {
  Process process(arguments, environment);
  int code = process.wait();
  return {code, process.out(), process.err()};
}

}  // namespace quorate::test
