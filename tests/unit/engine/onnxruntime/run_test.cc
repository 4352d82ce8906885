#include <fstream>
#include <numeric>
#include <thread>

#include "tests/unit/engine/onnxruntime/engine_fixture.h"

namespace tessera::engine {
namespace {

using test_support::OnnxDim;
using test_support::OnnxWriter;

class RunTest : public EngineTest {
 protected:
  // Loads, runs in the first core, expects success.
  Batch run(const OnnxWriter& model, std::int32_t max_batch_size, Batch batch) {
    auto loaded = load(model, max_batch_size);
    TESSERA_CHECK(loaded.ok());
    model_ = std::move(loaded).value();
    const Status status = plan_for(*model_).run({0, 1}, batch);
    EXPECT_TRUE(status.ok()) << status.error().message();
    return batch;
  }
  Error run_error(const OnnxWriter& model, std::int32_t max_batch_size, Batch batch) {
    auto loaded = load(model, max_batch_size);
    TESSERA_CHECK(loaded.ok());
    model_ = std::move(loaded).value();
    const Status status = plan_for(*model_).run({0, 1}, batch);
    EXPECT_FALSE(status.ok());
    return status.ok() ? Error(ErrorCode::kInternal, "no error") : status.error();
  }

  std::unique_ptr<LoadedModel> model_;
};

std::vector<std::int32_t> sequence(std::size_t count, std::int32_t start) {
  std::vector<std::int32_t> out(count);
  std::iota(out.begin(), out.end(), start);
  return out;
}

TEST_F(RunTest, AddsAndSubtracts) {
  const auto a = sequence(16, 100);
  const auto b = sequence(16, 1);
  const Batch done = run(test_support::add_sub_model(true), 8,
                         batch_of(1, {{DType::kInt32, {16}, {bytes_of(a)}}, {DType::kInt32, {16}, {bytes_of(b)}}}));
  ASSERT_EQ(done.outputs.size(), 2U);
  EXPECT_EQ(done.outputs[0].shape, (Shape{1, 16}));
  EXPECT_EQ(numbers<std::int32_t>(done.outputs[0])[3], 103 + 4);
  EXPECT_EQ(numbers<std::int32_t>(done.outputs[1])[3], 99);
  EXPECT_EQ(engine_->copied_tensor_bytes(), Bytes{0});
}

TEST_F(RunTest, AddsWithoutABatchDimension) {
  const auto a = sequence(16, 100);
  const Batch done = run(test_support::add_sub_model(false), 0,
                         batch_of(1, {{DType::kInt32, {16}, {bytes_of(a)}}, {DType::kInt32, {16}, {bytes_of(a)}}}));
  EXPECT_EQ(done.outputs[0].shape, (Shape{16}));
  EXPECT_EQ(numbers<std::int32_t>(done.outputs[0])[15], 230);
}

TEST_F(RunTest, GathersABatchFromItsRequestsWithOneCopy) {
  const auto first = sequence(16, 0);
  const auto second = sequence(32, 1000);  // two rows
  const std::vector<std::span<const std::byte>> parts{bytes_of(first), bytes_of(second)};
  const Batch done = run(test_support::add_sub_model(true), 8,
                         batch_of(3, {{DType::kInt32, {16}, parts}, {DType::kInt32, {16}, parts}}));
  EXPECT_EQ(done.outputs[0].shape, (Shape{3, 16}));
  const auto sums = numbers<std::int32_t>(done.outputs[0]);
  EXPECT_EQ(sums[15], 30);
  EXPECT_EQ(sums[16], 2000);
  EXPECT_EQ(sums[47], 2062);
  EXPECT_EQ(engine_->copied_tensor_bytes(), Bytes{2 * 3 * 64});
}

TEST_F(RunTest, UnalignedInputsAreCopiedAndCounted) {
  std::vector<std::byte> storage(65);
  const auto a = sequence(16, 7);
  std::memcpy(storage.data() + 1, a.data(), 64);
  const std::span<const std::byte> unaligned(storage.data() + 1, 64);
  const Batch done = run(test_support::add_sub_model(true), 8,
                         batch_of(1, {{DType::kInt32, {16}, {unaligned}}, {DType::kInt32, {16}, {bytes_of(a)}}}));
  EXPECT_EQ(numbers<std::int32_t>(done.outputs[0])[0], 14);
  EXPECT_EQ(engine_->copied_tensor_bytes(), Bytes{64});
}

TEST_F(RunTest, SeveralSingleCoreSlicesRunAtOnceInTheirOneSession) {
  auto loaded = load(test_support::matmul_chain_model(32, 2)).value();
  const auto& plan = plan_for(*loaded);
  std::vector<std::thread> threads;
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&plan, seed] {
      const auto input = test_support::small_numbers(64, seed, 1.0F);
      std::vector<float> first;
      for (int i = 0; i < 300; ++i) {
        const std::vector<std::span<const std::byte>> rows{bytes_of(input).first(128), bytes_of(input).subspan(128)};
        Batch batch = batch_of(2, {{DType::kFp32, {32}, rows}});
        ASSERT_TRUE(plan.run({static_cast<std::uint16_t>(seed), 1}, batch).ok());
        if (first.empty()) {
          first = numbers<float>(batch.outputs[0]);
        }
        ASSERT_EQ(numbers<float>(batch.outputs[0]), first);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(engine_->copied_tensor_bytes(), Bytes{4 * 300 * 256});
}

TEST_F(RunTest, OutputsOutliveModelAndEngine) {
  const auto a = sequence(16, 5);
  const Batch done = run(test_support::add_sub_model(true), 8,
                         batch_of(1, {{DType::kInt32, {16}, {bytes_of(a)}}, {DType::kInt32, {16}, {bytes_of(a)}}}));
  model_.reset();
  engine_.reset();
  EXPECT_EQ(numbers<std::int32_t>(done.outputs[0])[1], 12);
}

TEST_F(RunTest, StringsOfAnyContentPassThroughUnchanged) {
  const std::string with_null("a\0b", 3);
  const auto first = encoded({"", "Tessera", with_null});
  const auto second = encoded({std::string(100'000, 'x'), "\xff\xfe", "end"});
  const Batch done =
      run(test_support::string_identity_model(), 8, batch_of(2, {{DType::kBytes, {3}, {first, second}}}));
  EXPECT_EQ(done.outputs[0].dtype, DType::kBytes);
  EXPECT_EQ(done.outputs[0].shape, (Shape{2, 3}));
  std::vector<std::byte> both = first;
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_TRUE(std::equal(both.begin(), both.end(), done.outputs[0].data.begin(), done.outputs[0].data.end()));
  EXPECT_EQ(engine_->copied_tensor_bytes(), Bytes{2 * both.size()});
}

TEST_F(RunTest, NoStringsAtAll) {
  const Batch done = run(test_support::string_identity_model(), 8, batch_of(1, {{DType::kBytes, {0}, {{}}}}));
  EXPECT_EQ(done.outputs[0].shape, (Shape{1, 0}));
  EXPECT_TRUE(done.outputs[0].data.empty());
}

TEST_F(RunTest, MalformedStringsAreTheRequestsError) {
  const auto two = encoded({"one", "two"});
  const auto cut = std::vector<std::byte>(two.begin(), two.end() - 1);
  std::vector<std::byte> huge(4, std::byte{0xff});
  for (const auto& data : {two, cut, huge, encoded({"1", "2", "3", "4"})}) {
    const Error error =
        run_error(test_support::string_identity_model(), 8, batch_of(1, {{DType::kBytes, {3}, {data}}}));
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.message();
  }
}

TEST_F(RunTest, HalfPrecisionKeepsItsBits) {
  const std::vector<std::uint16_t> bits{0x3c00, 0x7c00, 0xfc00, 0x7e01, 0x0001, 0x8000, 0x7bff, 0x1234};
  Batch done = run(test_support::fp16_identity_model(), 8, batch_of(1, {{DType::kFp16, {8}, {bytes_of(bits)}}}));
  EXPECT_EQ(numbers<std::uint16_t>(done.outputs[0]), bits);
  done = run(test_support::identity_model(DType::kBf16, {"batch", 8}), 8,
             batch_of(1, {{DType::kBf16, {8}, {bytes_of(bits)}}}));
  EXPECT_EQ(numbers<std::uint16_t>(done.outputs[0]), bits);
}

TEST_F(RunTest, DimensionsMayChangeFromRunToRun) {
  auto loaded = load(test_support::dynamic_identity_model()).value();
  for (const std::int64_t height : {1, 7, 64, 3, 1}) {
    const Shape row{height, 5, 2};
    const auto data = test_support::small_numbers(static_cast<std::size_t>(height) * 10, 1, 1.0F);
    Batch batch = batch_of(1, {{DType::kFp32, row, {bytes_of(data)}}});
    ASSERT_TRUE(plan_for(*loaded).run({0, 1}, batch).ok());
    EXPECT_EQ(batch.outputs[0].shape, row.with_first(1));
    EXPECT_EQ(numbers<float>(batch.outputs[0]), data);
  }
}

TEST_F(RunTest, EmptyTensorsAndScalars) {
  Batch done = run(test_support::dynamic_identity_model(), 8, batch_of(2, {{DType::kFp32, {3, 0, 2}, {{}, {}}}}));
  EXPECT_EQ(done.outputs[0].shape, (Shape{2, 3, 0, 2}));
  EXPECT_TRUE(done.outputs[0].data.empty());
  const std::vector<double> one{2.5};
  done = run(test_support::identity_model(DType::kFp64, {}), 0, batch_of(1, {{DType::kFp64, {}, {bytes_of(one)}}}));
  EXPECT_EQ(done.outputs[0].shape.rank(), 0U);
  EXPECT_EQ(numbers<double>(done.outputs[0]), one);
  // One value a row.
  const std::vector<float> rows{1.0F, 2.0F};
  done = run(test_support::identity_model(DType::kFp32, {"batch"}), 8,
             batch_of(2, {{DType::kFp32, {}, {bytes_of(rows)}}}));
  EXPECT_EQ(done.outputs[0].shape, (Shape{2}));
}

TEST_F(RunTest, AnInputPassedStraightOnDoesNotDieWithTheRequest) {
  OnnxWriter model;
  model.input("INPUT0", DType::kInt32, {"batch", 16}).output("INPUT0", DType::kInt32, {"batch", 16});
  model.output("OUTPUT0", DType::kInt32, {"batch", 16}).node("Neg", {"INPUT0"}, {"OUTPUT0"});
  auto loaded = load(model);
  if (!loaded) {
    GTEST_SKIP() << "refused at load: " << loaded.error().message();
  }
  auto data = std::make_unique<std::vector<std::int32_t>>(sequence(16, 1));
  Batch batch = batch_of(1, {{DType::kInt32, {16}, {bytes_of(*data)}}});
  ASSERT_TRUE(plan_for(**loaded).run({0, 1}, batch).ok());
  const std::byte* sent = bytes_of(*data).data();
  EXPECT_NE(batch.outputs[0].data.data(), sent);
  data.reset();
  EXPECT_EQ(numbers<std::int32_t>(batch.outputs[0]), sequence(16, 1));
}

TEST_F(RunTest, AConstantOutputDoesNotDieWithTheModel) {
  OnnxWriter model;
  const auto constant = sequence(1024, 1);
  model.input("INPUT0", DType::kInt32, {16}).output("OUTPUT0", DType::kInt32, {16}).output("C", DType::kInt32, {1024});
  model.initializer("C", DType::kInt32, {1024}, {reinterpret_cast<const char*>(constant.data()), 4096});
  model.node("Neg", {"INPUT0"}, {"OUTPUT0"});
  const auto input = sequence(16, 1);
  const Batch done = run(model, 0, batch_of(1, {{DType::kInt32, {16}, {bytes_of(input)}}}));
  model_.reset();
  EXPECT_EQ(numbers<std::int32_t>(done.outputs[1]), constant);
}

TEST_F(RunTest, AnOutputThatLostItsRowsIsAnError) {
  OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {"batch", 4}).output("OUTPUT0", DType::kFp32, {OnnxDim::free(), 4});
  model.node("ReduceMax", {"INPUT0"}, {"OUTPUT0"}, {test_support::OnnxAttribute::integers("axes", {0})});
  const std::vector<float> rows(8, 1.0F);
  const Error error = run_error(model, 8, batch_of(2, {{DType::kFp32, {4}, {bytes_of(rows)}}}));
  EXPECT_NE(error.message().find("batch of 2"), std::string::npos) << error.message();
}

TEST_F(RunTest, AShapeThatTheGraphCannotDigestIsTheRequestsError) {
  OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {"batch", "a"}).input("INPUT1", DType::kFp32, {"batch", "b"});
  model.output("OUTPUT0", DType::kFp32, {"batch", OnnxDim::free()}).node("Add", {"INPUT0", "INPUT1"}, {"OUTPUT0"});
  const std::vector<float> three(3, 1.0F);
  const std::vector<float> four(4, 1.0F);
  const Error error =
      run_error(model, 8, batch_of(1, {{DType::kFp32, {3}, {bytes_of(three)}}, {DType::kFp32, {4}, {bytes_of(four)}}}));
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.message();
  // The plan serves on.
  Batch good = batch_of(1, {{DType::kFp32, {3}, {bytes_of(three)}}, {DType::kFp32, {3}, {bytes_of(three)}}});
  EXPECT_TRUE(plan_for(*model_).run({0, 1}, good).ok());
}

TEST_F(RunTest, BytesThatDoNotFitTheShapeNeverReachTheLibrary) {
  const auto a = sequence(15, 0);
  const Error error =
      run_error(test_support::add_sub_model(true), 8,
                batch_of(1, {{DType::kInt32, {16}, {bytes_of(a)}}, {DType::kInt32, {16}, {bytes_of(a)}}}));
  EXPECT_NE(error.message().find("60 bytes, not 64"), std::string::npos) << error.message();
}

// ONNX Runtime writes to what an allocator returns without looking at it.
TEST_F(RunTest, ARunThatWantsMoreMemoryThanThereIsFailsAlone) {
#ifdef TESSERA_SANITIZED
  GTEST_SKIP() << "sanitizers end the process where memory is asked for that there cannot be";
#endif
  OnnxWriter model;
  model.input("dims", DType::kInt64, {"rank"}).output("zeros", DType::kFp32, {"a", "b"});
  model.node("ConstantOfShape", {"dims"}, {"zeros"});
  auto loaded = load(model, 0).value();
  const auto run = [&](const std::vector<std::int64_t>& dims) {
    Batch batch = batch_of(1, {{DType::kInt64, {2}, {bytes_of(dims)}}});
    return plan_for(*loaded).run({0, 1}, batch);
  };
  EXPECT_TRUE(run({2, 3}).ok());
  const Status failed = run({std::int64_t{1} << 24, std::int64_t{1} << 24});  // 1 PB
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kOutOfMemory) << failed.error().message();
  EXPECT_TRUE(run({2, 3}).ok());
}

TEST_F(RunTest, MemoryIsFlatOverManyRunsOfChangingShapes) {
#ifdef TESSERA_SANITIZED
  GTEST_SKIP() << "sanitizers keep freed memory";
#endif
  auto loaded = load(test_support::dynamic_identity_model()).value();
  const auto data = test_support::small_numbers(64 * 64 * 4, 1, 1.0F);
  const auto run_all = [&](std::int64_t salt) {
    for (std::int64_t height = 1; height <= 64; ++height) {
      const std::int64_t width = 1 + (height * 7 + salt) % 64;
      const auto size = static_cast<std::size_t>(height * width);
      Batch batch = batch_of(2, {{DType::kFp32,
                                  {height, width, 1},
                                  {bytes_of(data).first(size * 4), bytes_of(data).subspan(size * 4, size * 4)}}});
      ASSERT_TRUE(plan_for(*loaded).run({0, 1}, batch).ok());
    }
  };
  const auto resident = [] {
    std::ifstream statm("/proc/self/statm");
    std::uint64_t size = 0;
    std::uint64_t pages = 0;
    statm >> size >> pages;
    return pages * 4096;
  };
  for (std::int64_t round = 0; round < 64; ++round) {
    run_all(round);
  }
  const std::uint64_t before = resident();
  for (std::int64_t round = 0; round < 640; ++round) {
    run_all(round);
  }
  EXPECT_LE(resident(), before + (2U << 20));
}

}  // namespace
}  // namespace tessera::engine
