#include "base/growing.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace tessera {
namespace {

TEST(Growing, IsASequence) {
  Growing<int, 3> numbers;
  EXPECT_EQ(numbers.size(), 0U);
  EXPECT_EQ(numbers.begin(), numbers.end());
  EXPECT_EQ(numbers.push_back(std::make_unique<int>(7)), 0U);
  EXPECT_EQ(numbers.push_back(std::make_unique<int>(8)), 1U);
  EXPECT_EQ(numbers.size(), 2U);
  EXPECT_EQ(numbers.capacity(), 3U);
  EXPECT_EQ(*numbers.front(), 7);
  std::vector<int> seen;
  for (const auto& number : numbers) {
    seen.push_back(*number);
  }
  EXPECT_EQ(seen, (std::vector<int>{7, 8}));
}

struct Noted {
  explicit Noted(int number, std::vector<int>& gone) : number(number), gone(gone) {}
  ~Noted() { gone.push_back(number); }
  Noted(const Noted&) = delete;
  Noted& operator=(const Noted&) = delete;
  const int number;
  std::vector<int>& gone;
};

TEST(Growing, TheLastGoesFirst) {
  std::vector<int> gone;
  {
    Growing<Noted, 4> all;
    for (int i = 0; i < 3; ++i) {
      all.push_back(std::make_unique<Noted>(i, gone));
    }
  }
  EXPECT_EQ(gone, (std::vector<int>{2, 1, 0}));
}

TEST(Growing, IsReadWhileItGrows) {
  constexpr std::size_t kMost = 2000;
  Growing<std::size_t, kMost> numbers;
  std::thread reader([&] {
    for (std::size_t seen = 0; seen < kMost; seen = numbers.size()) {
      std::size_t at = 0;
      for (const auto& number : numbers) {
        ASSERT_EQ(*number, at++);
      }
    }
  });
  for (std::size_t i = 0; i < kMost; ++i) {
    numbers.push_back(std::make_unique<std::size_t>(i));
  }
  reader.join();
}

}  // namespace
}  // namespace tessera
