// The kernels that frame plans, and memory that grows by mapping, on a real card.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>

#include "base/clock.h"
#include "device/cuda/card_clock.h"
#include "device/cuda/device_memory.h"
#include "device/cuda/homed_graph.h"
#include "device/cuda/plan_frame.h"
#include "tests/support/cuda/fake_plan_kernels.h"
#include "tests/support/cuda/probe_kit.h"

namespace tessera::device::contract {
namespace {

constexpr std::size_t kMemoryBytes = 4 << 20;  // of each memory
constexpr std::size_t kMostMoves = 300;        // more than a block of threads knows at a time

class PlanFrameOnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!host_driver().ok()) {
      GTEST_SKIP() << host_driver().error().message();
    }
    auto gpu = Gpu::open(*host_driver(), 0);
    ASSERT_TRUE(gpu.ok()) << gpu.error().message();
    gpu_ = *std::move(gpu);
    ASSERT_EQ(driver().ctx_set_current(gpu_->context()), CUDA_SUCCESS);
    streams_ = *gpu_->make_streams(1);
    auto kernels = PlanKernels::load(gpu_);
    ASSERT_TRUE(kernels.ok()) << kernels.error().message();
    kernels_ = *std::move(kernels);
    probes_ = std::make_unique<ProbeKernels>(gpu_);
    region_ = *DeviceRegion::reserve(gpu_, {1ULL << 30}, budget_);
    ASSERT_TRUE(region_->grow({2 * kMemoryBytes + kFrameBytes}).ok());
    card_from_ = region_->base();
    card_to_ = region_->base() + kMemoryBytes;
    scratch_ = region_->base() + 2 * kMemoryBytes;
    ASSERT_EQ(driver().memset_d8_async(scratch_, 0, kFrameBytes, stream()), CUDA_SUCCESS);
    pinned_ = std::make_unique<MappedMemory>(gpu_, kMemoryBytes);
    output_ = std::make_unique<MappedMemory>(gpu_, kMemoryBytes);
    control_ = std::make_unique<MappedMemory>(gpu_, control_size(kMostMoves));
    end_ = std::make_unique<MappedMemory>(gpu_, sizeof(std::uint32_t));
    std::generate(bytes_.begin(), bytes_.end(), [this] { return static_cast<std::byte>(random_()); });
    std::memcpy(pinned_->as<std::byte>(), bytes_.data(), kMemoryBytes);
    ASSERT_EQ(driver().memcpy_htod_async(card_from_, bytes_.data(), kMemoryBytes, stream()), CUDA_SUCCESS);
    ASSERT_EQ(driver().stream_synchronize(stream()), CUDA_SUCCESS);
  }

  const Driver& driver() const { return gpu_->driver(); }
  CUstream stream() const { return streams_.front().get(); }

  HomedGraph framed(Bytes gathered, Bytes scattered) {
    auto source = capture(*gpu_, stream(), [&](CUstream on) {
      return driver().check(
          driver().launch_kernel(probes_->function("nothing"), 8, 1, 1, 64, 1, 1, 0, on, nullptr, nullptr), "capture");
    });
    EXPECT_TRUE(source.ok());
    const auto control = reinterpret_cast<CUdeviceptr>(control_->as<std::byte>());
    const Status done = kernels_->frame(source->get(), control, scratch_, gathered, scattered);
    EXPECT_TRUE(done.ok());
    auto homed = HomedGraph::make(*gpu_, source->get(), *gpu_->context_of({0, 1}, Gpu::Use::kHome), stream());
    EXPECT_TRUE(homed.ok());
    return *std::move(homed);
  }
  void control(std::uint32_t number, const std::vector<Move>& gathers, const std::vector<Move>& scatters) {
    ASSERT_LE(gathers.size() + scatters.size(), kMostMoves);
    write_control(control_->as<std::byte>(), reinterpret_cast<std::uintptr_t>(end_->as<std::uint32_t>()), number,
                  gathers, scatters);
  }
  bool end_is(std::uint32_t number) {
    for (const TimePoint end = now() + std::chrono::seconds(10); now() < end;) {
      if (std::atomic_ref(*end_->as<std::uint32_t>()).load(std::memory_order_acquire) == number) {
        return true;
      }
    }
    return false;
  }
  std::vector<std::byte> on_card(CUdeviceptr from, std::size_t size) {
    std::vector<std::byte> found(size);
    EXPECT_EQ(driver().memcpy_dtoh_async(found.data(), from, size, stream()), CUDA_SUCCESS);
    EXPECT_EQ(driver().stream_synchronize(stream()), CUDA_SUCCESS);
    return found;
  }
  // Random moves to places that do not overlap, and what they must leave there.
  std::vector<Move> random_moves(std::size_t count, std::uint64_t pinned, std::uint64_t card, std::uint64_t to,
                                 std::vector<std::byte>& expected) {
    std::vector<Move> moves;
    std::size_t at = 0;
    const auto any = [this](std::size_t below) { return random_() % below; };
    while (moves.size() < count && at < kMemoryBytes / 2) {
      const auto form = static_cast<std::uint32_t>(any(3));
      std::size_t size = any(any(8) == 0 ? 200'000 : 3000);
      const std::size_t alignment = std::size_t{1} << any(6);
      std::size_t offset = any(kMemoryBytes / 4);
      if (any(4) != 0) {
        offset = offset / alignment * alignment;
        at = (at + alignment - 1) / alignment * alignment;
      }
      if (form != kCopy) {
        size = size / 2 * 2;
      }
      const std::uint64_t source = any(6) == 0 ? 0 : (any(2) == 0 ? pinned : card) + offset;
      const auto mirrored = source == 0 ? 0 : reinterpret_cast<std::uintptr_t>(bytes_.data()) + offset;
      moves.push_back({source, to + at, static_cast<std::uint32_t>(size), form});
      test::carry_out(
          {mirrored, reinterpret_cast<std::uintptr_t>(expected.data()) + at, static_cast<std::uint32_t>(size), form});
      at += size + (any(2) == 0 ? 0 : any(40));
    }
    return moves;
  }

  std::mt19937 random_{std::random_device{}()};
  std::shared_ptr<Gpu> gpu_;
  std::vector<OwnedStream> streams_;
  std::shared_ptr<const PlanKernels> kernels_;
  std::unique_ptr<ProbeKernels> probes_;
  const std::shared_ptr<MemoryBudget> budget_ = std::make_shared<MemoryBudget>(std::nullopt);
  std::unique_ptr<DeviceRegion> region_;
  CUdeviceptr card_from_ = 0;
  CUdeviceptr card_to_ = 0;
  CUdeviceptr scratch_ = 0;
  std::vector<std::byte> bytes_ = std::vector<std::byte>(kMemoryBytes);  // what lies in both sources
  std::unique_ptr<MappedMemory> pinned_;
  std::unique_ptr<MappedMemory> output_;
  std::unique_ptr<MappedMemory> control_;
  std::unique_ptr<MappedMemory> end_;
};

// On the host's axis a launch lies between when it was queued and when its end was seen.
TEST_F(PlanFrameOnGpu, NotesWhenItRanByAClockThatTheHostKnows) {
  const auto clock = CardClock::make(gpu_, stream());
  ASSERT_TRUE(clock.ok()) << clock.error().message();
  ASSERT_TRUE((*clock)->read().ok());
  const HomedGraph graph = framed({1 << 20}, {1 << 20});  // many blocks
  const MappedMemory memory(gpu_, sizeof(CardTimes));
  auto* const times = memory.as<CardTimes>();
  struct Run {
    double queued;
    CardTimes card;
    double seen;
  };
  std::vector<Run> runs;
  const auto host_ns = [] { return static_cast<double>(now().time_since_epoch().count()); };
  for (std::uint32_t number = 1; number <= 200; ++number) {
    *times = {};
    write_control(control_->as<std::byte>(), reinterpret_cast<std::uintptr_t>(end_->as<std::uint32_t>()), number, {},
                  {}, reinterpret_cast<std::uintptr_t>(times));
    Run run{host_ns(), {}, 0};
    ASSERT_TRUE(graph.launch(stream()).ok());
    ASSERT_TRUE(end_is(number));
    run.seen = host_ns();
    ASSERT_EQ(driver().stream_synchronize(stream()), CUDA_SUCCESS);
    run.card = *times;
    runs.push_back(run);
  }
  ASSERT_TRUE((*clock)->read().ok());
  const ClockMap map((*clock)->readings());
  const auto off = static_cast<double>(map.round_trip().count());
  EXPECT_LT(off, 20'000) << "a question and its answer cross the bus twice";
  for (const Run& run : runs) {
    ASSERT_GT(run.card.begun_ns, 0U);
    EXPECT_LE(run.card.begun_ns, run.card.ended_ns);
    EXPECT_GE(map.host_ns(run.card.begun_ns), run.queued - off);
    EXPECT_LE(map.host_ns(run.card.ended_ns), run.seen + off + 2'000) << "it is noted just after the end's word";
  }
}

TEST_F(PlanFrameOnGpu, GathersFromAnywhereWithAnyAlignment) {
  const HomedGraph graph = framed({kMemoryBytes}, {0});
  const auto pinned = reinterpret_cast<std::uintptr_t>(pinned_->as<std::byte>());
  for (std::uint32_t round = 1; round <= 50; ++round) {
    std::vector<std::byte> expected(kMemoryBytes, std::byte{0x5a});
    ASSERT_EQ(driver().memset_d8_async(card_to_, 0x5a, kMemoryBytes, stream()), CUDA_SUCCESS);
    ASSERT_EQ(driver().stream_synchronize(stream()), CUDA_SUCCESS);
    control(round, random_moves(round % 5 == 0 ? kMostMoves : round, pinned, card_from_, card_to_, expected), {});
    ASSERT_TRUE(graph.launch(stream()).ok());
    ASSERT_TRUE(end_is(round));
    ASSERT_EQ(on_card(card_to_, kMemoryBytes), expected) << "round " << round;
  }
}

TEST_F(PlanFrameOnGpu, ScattersBeforeTheEndIsSeen) {
  const HomedGraph graph = framed({0}, {kMemoryBytes});
  const auto to = reinterpret_cast<std::uintptr_t>(output_->as<std::byte>());
  for (std::uint32_t round = 1; round <= 200; ++round) {
    std::vector<std::byte> expected(kMemoryBytes, static_cast<std::byte>(round));
    std::memset(output_->as<std::byte>(), static_cast<int>(round), kMemoryBytes);
    control(round, {}, random_moves(1 + round % 30, card_from_, card_from_, to, expected));
    ASSERT_TRUE(graph.launch(stream()).ok());
    ASSERT_TRUE(end_is(round)) << "the count was not set back";
    ASSERT_EQ(std::memcmp(output_->as<std::byte>(), expected.data(), kMemoryBytes), 0) << "round " << round;
  }
}

TEST_F(PlanFrameOnGpu, ConversionsAreThoseOfTheHost) {
  std::vector<float> values(1 << 16);
  for (float& value : values) {
    const auto bits = static_cast<std::uint32_t>(random_());
    std::memcpy(&value, &bits, sizeof(value));
    if (value != value || random_() % 2 == 0) {
      value = static_cast<float>(static_cast<int>(random_() % 200'001) - 100'000) / 1024;
    }
  }
  std::memcpy(pinned_->as<std::byte>(), values.data(), values.size() * sizeof(float));
  const auto size = static_cast<std::uint32_t>(values.size() * 2);
  const auto from = reinterpret_cast<std::uintptr_t>(pinned_->as<std::byte>());
  const HomedGraph graph = framed({kMemoryBytes}, {0});
  control(1, {{from, card_to_, size, kFp32ToFp16}, {from + 2, card_to_ + size, size, kUint8ToFp16}}, {});
  ASSERT_TRUE(graph.launch(stream()).ok());
  ASSERT_TRUE(end_is(1));
  std::vector<std::byte> expected(2 * std::size_t{size});
  const auto to = reinterpret_cast<std::uintptr_t>(expected.data());
  test::carry_out({from, to, size, kFp32ToFp16});
  test::carry_out({from + 2, to + size, size, kUint8ToFp16});
  EXPECT_EQ(on_card(card_to_, expected.size()), expected);
}

TEST_F(PlanFrameOnGpu, ImagesBecomePlanesAsOnTheHost) {
  auto* const bytes = pinned_->as<std::byte>();
  constexpr std::uint32_t kPixels = 57 * 31;
  constexpr std::uint32_t kChannels = 3;
  constexpr std::uint32_t kSize = kPixels * kChannels * 2;
  for (std::size_t i = 0; i < std::size_t{kSize} * 2 + 16; ++i) {
    bytes[i] = static_cast<std::byte>(i % 4 == 3 ? 0x40 + random_() % 4 : random_() % 256);  // no NaN
  }
  const auto from = reinterpret_cast<std::uintptr_t>(bytes);
  const HomedGraph graph = framed({kMemoryBytes}, {0});
  std::uint32_t number = 0;
  for (const MoveForm conversion : {kFp32ToFp16, kUint8ToFp16, kFp16ToFp16}) {
    for (const std::uint32_t channels : {1U, kChannels}) {
      for (const auto& [shift_from, shift_to] : {std::pair(0, 0), std::pair(4, 2), std::pair(1, 16), std::pair(3, 6)}) {
        const Move move{from + static_cast<std::uintptr_t>(shift_from), card_to_ + static_cast<CUdeviceptr>(shift_to),
                        kSize, planes_of(conversion, channels)};
        control(++number, {move}, {});
        ASSERT_TRUE(graph.launch(stream()).ok());
        ASSERT_TRUE(end_is(number));
        std::vector<std::byte> expected(kSize);
        Move on_host = move;
        on_host.to = reinterpret_cast<std::uintptr_t>(expected.data());
        test::carry_out(on_host);
        EXPECT_EQ(on_card(move.to, kSize), expected)
            << conversion << " " << channels << " " << shift_from << " " << shift_to;
      }
    }
  }
}

TEST_F(PlanFrameOnGpu, WithoutAnEndWordNoneIsWritten) {
  const HomedGraph graph = framed({0}, {0});
  write_control(control_->as<std::byte>(), 0, 9, {}, {});
  ASSERT_TRUE(graph.launch(stream()).ok());
  ASSERT_EQ(driver().stream_synchronize(stream()), CUDA_SUCCESS);
  EXPECT_EQ(*end_->as<std::uint32_t>(), 0U);
}

TEST_F(PlanFrameOnGpu, ARegionGrowsInPlaceAndKeepsWhatIsThere) {
  const auto region = *DeviceRegion::reserve(gpu_, {256ULL << 20}, budget_);
  const CUdeviceptr base = region->base();
  std::size_t filled = 0;
  for (unsigned char value = 1; value <= 20; ++value) {
    ASSERT_TRUE(region->grow({filled + 5'000'000}).ok());
    ASSERT_EQ(region->base(), base);
    const std::size_t mapped = region->mapped().value;
    ASSERT_EQ(driver().memset_d8_async(base + filled, value, mapped - filled, stream()), CUDA_SUCCESS);
    filled = mapped;
  }
  const auto found = on_card(base, filled);
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
  EXPECT_EQ(found.front(), std::byte{1});
  EXPECT_EQ(found.back(), std::byte{20});
}

TEST_F(PlanFrameOnGpu, ACardWithoutMemorySaysWhatIsFree) {
  std::size_t free = 0;
  std::size_t total = 0;
  ASSERT_EQ(driver().mem_get_info(&free, &total), CUDA_SUCCESS);
  const auto region = *DeviceRegion::reserve(gpu_, {2 * total}, budget_);
  const Status refused = region->grow({total + total / 2});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kOutOfMemory);
  EXPECT_NE(refused.error().message().find("MB are free"), std::string::npos) << refused.error().message();
  EXPECT_TRUE(region->grow({2 << 20}).ok()) << "and goes on";
}

}  // namespace
}  // namespace tessera::device::contract
