#include "base/affinity.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <thread>

namespace tessera {
namespace {

CpuSet one_of(const CpuSet& set) {
  CpuSet one;
  one.add(set.list().front());
  return one;
}

TEST(CpuSet, KeepsWhatWasAdded) {
  const std::array<int, 3> cpus{0, 5, 1023};
  const auto set = CpuSet::of(cpus);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->count(), 3);
  EXPECT_TRUE(set->contains(1023));
  EXPECT_FALSE(set->contains(1));
  EXPECT_FALSE(set->contains(-1));
  EXPECT_FALSE(set->contains(4096));
  EXPECT_EQ(set->list(), (std::vector<int>{0, 5, 1023}));
  EXPECT_TRUE(set->contains_all(one_of(*set)));
  EXPECT_FALSE(one_of(*set).contains_all(*set));
}

TEST(CpuSet, RefusesNumbersOutsideTheKernelsMask) {
  for (const int bad : {-1, 1024}) {
    const std::array<int, 1> cpus{bad};
    const auto set = CpuSet::of(cpus);
    ASSERT_FALSE(set.ok()) << bad;
    EXPECT_EQ(set.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST(Affinity, AThreadCanBePinnedForGood) {
  const auto allowed = allowed_cpus();
  ASSERT_TRUE(allowed.ok());
  ASSERT_GE(allowed->count(), 1);
  std::thread([&] {
    const CpuSet target = one_of(*allowed);
    ASSERT_TRUE(pin_this_thread(target).ok());
    EXPECT_EQ(*cpus_of_this_thread(), target);
    EXPECT_EQ(current_cpu(), target.list().front());
    ASSERT_TRUE(pin_this_thread(*allowed).ok());
    EXPECT_EQ(*cpus_of_this_thread(), *allowed);
  }).join();
}

TEST(Affinity, PinningToNoProcessorIsAnError) {
  std::thread([] {
    const auto before = cpus_of_this_thread();
    EXPECT_FALSE(pin_this_thread(CpuSet()).ok());
    const ScopedPin pin{CpuSet()};
    EXPECT_FALSE(pin.status().ok());
    EXPECT_EQ(*cpus_of_this_thread(), *before);
  }).join();
}

TEST(Affinity, AScopedPinRestoresTheMaskAlsoWhenNested) {
  const auto allowed = allowed_cpus();
  ASSERT_TRUE(allowed.ok());
  if (allowed->count() < 2) {
    GTEST_SKIP() << "needs two processors";
  }
  CpuSet second;
  second.add(allowed->list()[1]);
  std::thread([&] {
    const auto before = cpus_of_this_thread();
    {
      const ScopedPin outer(one_of(*allowed));
      ASSERT_TRUE(outer.status().ok());
      {
        const ScopedPin same(one_of(*allowed));
        EXPECT_EQ(*cpus_of_this_thread(), one_of(*allowed));
      }
      EXPECT_EQ(*cpus_of_this_thread(), one_of(*allowed));
      {
        const ScopedPin inner(second);
        EXPECT_EQ(*cpus_of_this_thread(), second);
        EXPECT_EQ(current_cpu(), second.list().front());
      }
      EXPECT_EQ(*cpus_of_this_thread(), one_of(*allowed));
    }
    EXPECT_EQ(*cpus_of_this_thread(), *before);
  }).join();
}

TEST(Affinity, ThreadNamesAreCutToWhatTheKernelKeeps) {
  std::thread([] {
    name_this_thread("a-name-that-is-too-long");
    std::array<char, 32> name{};
    ASSERT_EQ(pthread_getname_np(pthread_self(), name.data(), name.size()), 0);
    EXPECT_STREQ(name.data(), "a-name-that-is-");
  }).join();
}

}  // namespace
}  // namespace tessera
