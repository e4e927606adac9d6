//===- CrashReport.cpp - what a crash leaves behind -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compiler/driver/CrashReport.h"

#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/Signals.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace contraflow::driver {
namespace {

/// A reproducer with all its strings made: a signal handler may make system calls and nothing else.
class Plan {
public:
  Plan(Reproducer reproducer, const std::string &executable)
      : folder(reproducer.folder), files(std::move(reproducer.files)),
        arguments(std::move(reproducer.arguments)), subject("contraflow: error: " + reproducer.subject),
        place("; what replays it is in '" + folder + "'\n"),
        command("contraflow: note: replay it with: " + reproducer.command + "\n") {
    for (Reproducer::File &file : files)
      file.name = folder + "/" + file.name;
    if (arguments.empty())
      return;
    arguments.insert(arguments.begin(), executable);
    for (std::string &argument : arguments)
      pointers.push_back(argument.data());
    pointers.push_back(nullptr);
  }

  void write(const char *what) const {
    print(subject.c_str());
    print(what);
    bool written = (mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST);
    for (const Reproducer::File &file : files)
      written = written && writeFile(file);
    written = written && (pointers.empty() || runAgain());
    print(written ? place.c_str() : "; a reproducer could not be written\n");
    if (written)
      print(command.c_str());
  }

private:
  static void print(const char *text) { put(STDERR_FILENO, text, strlen(text)); }

  static bool put(int target, const char *data, size_t size) {
    while (size > 0) {
      ssize_t count = ::write(target, data, size);
      if (count < 0 && errno != EINTR)
        return false;
      data += std::max<ssize_t>(count, 0);
      size -= std::max<ssize_t>(count, 0);
    }
    return true;
  }

  static bool copy(int source, int target) {
    char buffer[4096];
    ssize_t count;
    while ((count = read(source, buffer, sizeof buffer)) > 0)
      if (!put(target, buffer, count))
        return false;
    return count == 0;
  }

  static bool writeFile(const Reproducer::File &file) {
    int target = open(file.name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (target < 0)
      return false;
    bool written = put(target, file.text.data(), file.text.size());
    if (!file.source.empty()) {
      int source = open(file.source.c_str(), O_RDONLY | O_CLOEXEC);
      written = written && source >= 0 && copy(source, target);
      close(source);
    }
    return close(target) == 0 && written;
  }

  /// Silently: what it would say has been said by this process.
  bool runAgain() const {
    pid_t child = _Fork();
    if (child == 0) {
      int nowhere = open("/dev/null", O_WRONLY);
      dup2(nowhere, STDOUT_FILENO);
      dup2(nowhere, STDERR_FILENO);
      execv(pointers[0], pointers.data());
      _exit(127);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  std::string folder;
  std::vector<Reproducer::File> files;
  std::vector<std::string> arguments;
  std::vector<char *> pointers;
  std::string subject, place, command;
};

std::string executablePath;
/// Plans stay alive, a crash of another thread may be reading one.
std::vector<std::unique_ptr<Plan>> plans;
std::atomic<const Plan *> current = nullptr;

/// One report: a second thread that crashes, or a crash in here, finds nothing.
void report(const char *what) {
  if (const Plan *plan = current.exchange(nullptr))
    plan->write(what);
}

} // namespace

std::string getDefaultReproducerFolder() {
  const char *temporary = getenv("TMPDIR");
  std::string folder = access(".", W_OK) == 0 ? "" : std::string(temporary ? temporary : "/tmp") + "/";
  return folder + "contraflow-crash-" + std::to_string(getpid());
}

void installCrashReports(const std::string &executable) {
  executablePath = executable;
  llvm::setBugReportMsg("contraflow crashed, which is a defect of it; please report it with what follows\n");
  llvm::sys::AddSignalHandler([](void *) { report(" crashed"); }, nullptr);
}

void setReproducer(Reproducer reproducer) {
  plans.push_back(std::make_unique<Plan>(std::move(reproducer), executablePath));
  current = plans.back().get();
}

void clearReproducer() { current = nullptr; }

bool reportFailure() {
  bool written = current != nullptr;
  report(" failed");
  return written;
}

} // namespace contraflow::driver
