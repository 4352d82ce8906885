#include "base/affinity.h"

#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <system_error>

namespace tessera {
namespace {

// The mask this thread set last; empty while it never set one.
std::optional<CpuSet>& own_mask() {
  thread_local std::optional<CpuSet> mask;
  return mask;
}

Error system_error(const std::string& what, int number) {
  return internal_error(what + ": " + std::generic_category().message(number));
}

Result<CpuSet> mask_of(pid_t thread) {
  CpuSet cpus;
  if (sched_getaffinity(thread, sizeof(cpu_set_t), &cpus.bits()) != 0) {
    return system_error("cannot read the processor mask", errno);
  }
  return cpus;
}

}  // namespace

Result<CpuSet> CpuSet::of(std::span<const int> cpus) {
  CpuSet set;
  for (const int cpu : cpus) {
    if (cpu < 0 || cpu >= kMaxCpus) {
      return invalid_argument("processor " + std::to_string(cpu) + " is outside 0.." + std::to_string(kMaxCpus - 1));
    }
    set.add(cpu);
  }
  return set;
}

void CpuSet::add(int cpu) {
  TESSERA_CHECK(cpu >= 0 && cpu < kMaxCpus);
  CPU_SET(static_cast<std::size_t>(cpu), &bits_);
}

bool CpuSet::contains(int cpu) const {
  return cpu >= 0 && cpu < kMaxCpus && CPU_ISSET(static_cast<std::size_t>(cpu), &bits_);
}

bool CpuSet::contains_all(const CpuSet& other) const {
  cpu_set_t both;
  CPU_AND(&both, &bits_, &other.bits_);
  return CPU_EQUAL(&both, &other.bits_);
}

std::vector<int> CpuSet::list() const {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (contains(cpu)) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

Result<CpuSet> allowed_cpus() { return mask_of(getpid()); }

Result<CpuSet> cpus_of_this_thread() { return mask_of(0); }

int current_cpu() { return sched_getcpu(); }

Status pin_this_thread(const CpuSet& cpus) {
  auto& own = own_mask();
  if (own && *own == cpus) {
    return ok_status();
  }
  if (sched_setaffinity(0, sizeof(cpu_set_t), &cpus.bits()) != 0) {
    return system_error("cannot pin a thread", errno);
  }
  own = cpus;
  return ok_status();
}

ScopedPin::ScopedPin(const CpuSet& cpus) {
  if (own_mask() && *own_mask() == cpus) {
    return;
  }
  if (own_mask()) {
    before_ = *own_mask();
  } else {
    auto found = cpus_of_this_thread();
    if (!found.ok()) {
      status_ = found.error();
      return;
    }
    before_ = *found;
  }
  status_ = pin_this_thread(cpus);
  restore_ = status_.ok();
}

ScopedPin::~ScopedPin() {
  if (restore_) {
    // Fails only where the processors found before are gone by now; then the thread stays where it is.
    static_cast<void>(pin_this_thread(before_));
  }
}

void name_this_thread(std::string_view name) {
  constexpr std::size_t kLongest = 15;
  pthread_setname_np(pthread_self(), std::string(name.substr(0, kLongest)).c_str());
}

}  // namespace tessera
