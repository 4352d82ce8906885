// What the host device does beyond the contract of every device.
#include "device/host/host_device.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "base/affinity.h"
#include "base/hardware.h"

namespace tessera::device {
namespace {

CpuSet only(int cpu) {
  CpuSet set;
  set.add(cpu);
  return set;
}

TEST(HostDevice, KnowsTheAtomOfTheCallingThread) {
  const auto cores = allowed_cpus()->list();
  const auto device = make_host_device({});
  const auto last_core = make_host_device({.cores = {cores.back()}});
  ASSERT_TRUE(device.ok() && last_core.ok());
  std::thread([&] {
    for (std::size_t i = 0; i < cores.size(); ++i) {
      ASSERT_TRUE(pin_this_thread(only(cores[i])).ok());
      EXPECT_EQ((*device)->atom_here(), i);
      EXPECT_EQ((*last_core)->atom_here(), i + 1 == cores.size() ? std::optional<std::uint16_t>(0) : std::nullopt);
    }
  }).join();
}

TEST(HostDevice, SaysWhatProcessorItHas) {
  const auto device = make_host_device({});
  ASSERT_TRUE(device.ok());
  EXPECT_EQ((*device)->hardware(), processor_name());
}

TEST(HostDevice, NamesItsThreadsAfterTheirAtoms) {
  const auto device = make_host_device({.name = "node"});
  ASSERT_TRUE(device.ok());
  std::set<std::string> expected;
  EXPECT_EQ((*device)->shape().committed_per_atom, 0);
  EXPECT_FALSE((*device)->shape().steady);  // whatever else computes slows runs down
  for (const Slice& slice : (*device)->shape().ladder) {
    const std::string first = "node:" + std::to_string(slice.first);
    expected.insert(slice.count == 1 ? first : first + "-" + std::to_string(slice.end() - 1));
  }
  // Threads name themselves once they run.
  for (int attempt = 0; attempt < 1000 && !expected.empty(); ++attempt) {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream file(task.path() / "comm");
      std::string name;
      std::getline(file, name);
      expected.erase(name);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(expected.empty()) << "no thread is called " << *expected.begin();
}

}  // namespace
}  // namespace tessera::device
