#include "device/host/topology.h"

#include <gtest/gtest.h>

#include <vector>

#include "device/host/host_device.h"

namespace tessera::device {
namespace {

TEST(HostTopology, TakesWhatTheProcessMayUse) {
  const auto topology = HostTopology::of();
  ASSERT_TRUE(topology.ok());
  const auto allowed = allowed_cpus()->list();
  EXPECT_EQ(std::vector<int>(topology->cpus().begin(), topology->cpus().end()), allowed);
  EXPECT_EQ(topology->atoms(), allowed.size());
}

TEST(HostTopology, KeepsTheOrderGiven) {
  auto cores = allowed_cpus()->list();
  cores = {cores.rbegin(), cores.rend()};
  const auto topology = HostTopology::of(cores);
  ASSERT_TRUE(topology.ok());
  for (std::uint16_t atom = 0; atom < topology->atoms(); ++atom) {
    EXPECT_EQ(topology->main_cpu({atom, 1}), cores[atom]);
    EXPECT_EQ(topology->atom_of(cores[atom]), atom);
    EXPECT_TRUE(topology->helper_cpus({atom, 1}).empty());
  }
  const Slice whole{0, topology->atoms()};
  EXPECT_EQ(topology->main_cpu(whole), cores.front());
  EXPECT_EQ(topology->helper_cpus(whole).size(), cores.size() - 1);
  EXPECT_EQ(topology->set_of(whole), *CpuSet::of(cores));
  EXPECT_EQ(topology->main_set(whole).list(), std::vector<int>{cores.front()});
}

TEST(HostTopology, KnowsWhichProcessorsAreNotItsAtoms) {
  const auto allowed = allowed_cpus()->list();
  const auto topology = HostTopology::of(std::vector<int>{allowed.back()});
  ASSERT_TRUE(topology.ok());
  EXPECT_EQ(topology->atom_of(allowed.back()), 0);
  EXPECT_EQ(topology->atom_of(-1), std::nullopt);
  EXPECT_EQ(topology->atom_of(100'000), std::nullopt);
  if (allowed.size() > 1) {
    EXPECT_EQ(topology->atom_of(allowed.front()), std::nullopt);
  }
}

TEST(HostTopology, RefusesCoresThatAreTwiceUnknownOrNotAllowed) {
  const int cpu = allowed_cpus()->list().front();
  for (const std::vector<int>& bad : {std::vector{cpu, cpu}, std::vector{-1}, std::vector{1023}, std::vector{5000}}) {
    const auto topology = HostTopology::of(bad);
    ASSERT_FALSE(topology.ok());
    EXPECT_EQ(topology.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_FALSE(make_host_device({.cores = bad}).ok());
  }
}

}  // namespace
}  // namespace tessera::device
