// Made by scripts/kernels-ptx: do not edit.
// Of probe_kernels.cu probe_args.h with digest dd93d3f19a831fce45039bf3930cdf3bf2faa8017fc48145705139f0a2684c74.
#pragma once

namespace tessera::device::contract {

inline constexpr const char* kProbePtx = R"ptx(

.version 9.0
.target sm_75
.address_size 64

	// .globl	probe_begin

.visible .entry probe_begin(
	.param .align 8 .b8 probe_begin_param_0[72]
)
{
	.reg .pred 	%p<12>;
	.reg .b32 	%r<22>;
	.reg .b64 	%rd<29>;

	ld.param.v2.u32 	{%r5, %r6}, [probe_begin_param_0+64];
	ld.param.u64 	%rd16, [probe_begin_param_0+56];
	ld.param.u64 	%rd12, [probe_begin_param_0+24];
	ld.param.u64 	%rd10, [probe_begin_param_0+8];
	ld.param.u64 	%rd9, [probe_begin_param_0];
	cvta.to.global.u64 	%rd1, %rd10;
	cvta.to.global.u64 	%rd3, %rd12;
	mov.u32 	%r7, %tid.x;
	setp.ne.s32 	%p1, %r7, 0;
	@%p1 bra 	$L__BB0_16;

	atom.global.add.u32 	%r1, [%rd1], 1;
	setp.ne.s32 	%p2, %r1, 0;
	add.s64 	%rd5, %rd1, 8;
	@%p2 bra 	$L__BB0_3;

	// begin inline asm
	mov.u64 %rd17, %globaltimer;
	// end inline asm
	st.global.u64 	[%rd1+56], %rd17;
	cvta.to.global.u64 	%rd18, %rd9;
	atom.global.add.u64 	%rd19, [%rd18], 1;
	add.s64 	%rd20, %rd19, 1;
	st.global.u64 	[%rd1+48], %rd20;

$L__BB0_3:
	// begin inline asm
	mov.u32 %r8, %smid;
	// end inline asm
	shr.u32 	%r9, %r8, 3;
	cvt.u64.u32 	%rd21, %r9;
	and.b64  	%rd22, %rd21, 28;
	add.s64 	%rd23, %rd1, %rd22;
	add.s64 	%rd24, %rd23, 12;
	and.b32  	%r10, %r8, 31;
	mov.u32 	%r11, 1;
	shl.b32 	%r12, %r11, %r10;
	atom.global.or.b32 	%r13, [%rd24], %r12;
	setp.eq.s64 	%p3, %rd12, 0;
	@%p3 bra 	$L__BB0_12;

	@%p2 bra 	$L__BB0_6;

	add.s64 	%rd25, %rd3, 4;
	atom.global.sys.add.u32 	%r14, [%rd25], 1;

$L__BB0_6:
	@%p2 bra 	$L__BB0_10;

	ld.volatile.global.u32 	%r15, [%rd3];
	setp.ne.s32 	%p6, %r15, 0;
	@%p6 bra 	$L__BB0_9;

$L__BB0_8:
	mov.u32 	%r16, 1000;
	// begin inline asm
	nanosleep.u32 %r16;
	// end inline asm
	ld.volatile.global.u32 	%r17, [%rd3];
	setp.eq.s32 	%p7, %r17, 0;
	@%p7 bra 	$L__BB0_8;

$L__BB0_9:
	mov.u32 	%r18, 1;
	st.volatile.global.u32 	[%rd5], %r18;

$L__BB0_10:
	ld.volatile.global.u32 	%r19, [%rd5];
	setp.ne.s32 	%p8, %r19, 0;
	@%p8 bra 	$L__BB0_12;

$L__BB0_11:
	mov.u32 	%r20, 2000;
	// begin inline asm
	nanosleep.u32 %r20;
	// end inline asm
	ld.volatile.global.u32 	%r21, [%rd5];
	setp.eq.s32 	%p9, %r21, 0;
	@%p9 bra 	$L__BB0_11;

$L__BB0_12:
	// begin inline asm
	mov.u64 %rd26, %globaltimer;
	// end inline asm

$L__BB0_13:
	// begin inline asm
	mov.u64 %rd27, %globaltimer;
	// end inline asm
	sub.s64 	%rd28, %rd27, %rd26;
	setp.lt.u64 	%p10, %rd28, %rd16;
	@%p10 bra 	$L__BB0_13;

	setp.ne.s32 	%p11, %r6, 1;
	@%p11 bra 	$L__BB0_16;

	// begin inline asm
	trap;
	// end inline asm

$L__BB0_16:
	ret;

}
	// .globl	probe_answer
.visible .entry probe_answer(
	.param .align 8 .b8 probe_answer_param_0[72]
)
{
	.reg .pred 	%p<7>;
	.reg .b32 	%r<35>;
	.reg .b64 	%rd<29>;

	ld.param.v2.u32 	{%r10, %r11}, [probe_answer_param_0+64];
	ld.param.u64 	%rd10, [probe_answer_param_0+48];
	ld.param.u64 	%rd9, [probe_answer_param_0+40];
	ld.param.u64 	%rd8, [probe_answer_param_0+32];
	ld.param.u64 	%rd6, [probe_answer_param_0+16];
	ld.param.u64 	%rd5, [probe_answer_param_0+8];
	ld.param.u64 	%rd4, [probe_answer_param_0];
	cvta.to.global.u64 	%rd1, %rd5;
	mov.u32 	%r12, %ctaid.x;
	setp.ne.s32 	%p1, %r12, 0;
	mov.u32 	%r1, %tid.x;
	@%p1 bra 	$L__BB1_8;

	setp.gt.u32 	%p2, %r1, 255;
	@%p2 bra 	$L__BB1_7;

	mov.u32 	%r2, %ntid.x;
	cvta.to.global.u64 	%rd2, %rd8;
	cvta.to.global.u64 	%rd3, %rd9;
	mov.u32 	%r33, %r1;

$L__BB1_3:
	setp.lt.u32 	%p3, %r33, %r10;
	@%p3 bra 	$L__BB1_5;
	bra.uni 	$L__BB1_4;

$L__BB1_5:
	cvt.u64.u32 	%rd12, %r33;
	add.s64 	%rd13, %rd2, %rd12;
	ld.global.u8 	%r14, [%rd13];
	xor.b32  	%r34, %r14, 165;
	bra.uni 	$L__BB1_6;

$L__BB1_4:
	mov.u32 	%r34, 0;

$L__BB1_6:
	cvt.u64.u32 	%rd14, %r33;
	add.s64 	%rd15, %rd3, %rd14;
	st.global.u8 	[%rd15], %r34;
	add.s32 	%r33, %r33, %r2;
	setp.lt.u32 	%p4, %r33, 256;
	@%p4 bra 	$L__BB1_3;

$L__BB1_7:
	membar.sys;

$L__BB1_8:
	bar.sync 	0;
	setp.ne.s32 	%p5, %r1, 0;
	@%p5 bra 	$L__BB1_11;

	// begin inline asm
	mov.u32 %r15, %smid;
	// end inline asm
	shr.u32 	%r16, %r15, 3;
	cvt.u64.u32 	%rd16, %r16;
	and.b64  	%rd17, %rd16, 28;
	add.s64 	%rd18, %rd1, %rd17;
	add.s64 	%rd19, %rd18, 12;
	and.b32  	%r17, %r15, 31;
	mov.u32 	%r18, 1;
	shl.b32 	%r19, %r18, %r17;
	atom.global.or.b32 	%r20, [%rd19], %r19;
	membar.gl;
	add.s64 	%rd20, %rd1, 4;
	atom.global.add.u32 	%r21, [%rd20], 1;
	mov.u32 	%r22, %nctaid.x;
	add.s32 	%r23, %r22, -1;
	setp.ne.s32 	%p6, %r21, %r23;
	@%p6 bra 	$L__BB1_11;

	ld.volatile.global.u32 	%r24, [%rd1+12];
	cvta.to.global.u64 	%rd22, %rd6;
	st.global.u32 	[%rd22+32], %r24;
	ld.volatile.global.u32 	%r25, [%rd1+16];
	st.global.u32 	[%rd22+36], %r25;
	ld.volatile.global.u32 	%r26, [%rd1+20];
	st.global.u32 	[%rd22+40], %r26;
	ld.volatile.global.u32 	%r27, [%rd1+24];
	st.global.u32 	[%rd22+44], %r27;
	ld.volatile.global.u32 	%r28, [%rd1+28];
	st.global.u32 	[%rd22+48], %r28;
	ld.volatile.global.u32 	%r29, [%rd1+32];
	st.global.u32 	[%rd22+52], %r29;
	ld.volatile.global.u32 	%r30, [%rd1+36];
	st.global.u32 	[%rd22+56], %r30;
	ld.volatile.global.u32 	%r31, [%rd1+40];
	st.global.u32 	[%rd22+60], %r31;
	ld.volatile.global.u64 	%rd23, [%rd1+48];
	st.global.u64 	[%rd22], %rd23;
	ld.volatile.global.u64 	%rd24, [%rd1+56];
	st.global.u64 	[%rd22+16], %rd24;
	cvta.to.global.u64 	%rd25, %rd10;
	ld.global.u32 	%r32, [%rd25];
	st.global.u32 	[%rd22+64], %r32;
	// begin inline asm
	mov.u64 %rd21, %globaltimer;
	// end inline asm
	st.global.u64 	[%rd22+24], %rd21;
	membar.sys;
	cvta.to.global.u64 	%rd26, %rd4;
	atom.global.add.u64 	%rd27, [%rd26], 1;
	add.s64 	%rd28, %rd27, 1;
	st.global.u64 	[%rd22+8], %rd28;

$L__BB1_11:
	ret;

}
	// .globl	note_sms
.visible .entry note_sms(
	.param .u64 note_sms_param_0,
	.param .u64 note_sms_param_1
)
{
	.reg .pred 	%p<3>;
	.reg .b32 	%r<8>;
	.reg .b64 	%rd<11>;

	ld.param.u64 	%rd2, [note_sms_param_0];
	ld.param.u64 	%rd3, [note_sms_param_1];
	mov.u32 	%r1, %tid.x;
	setp.ne.s32 	%p1, %r1, 0;
	@%p1 bra 	$L__BB2_3;

	cvta.to.global.u64 	%rd5, %rd2;
	// begin inline asm
	mov.u32 %r2, %smid;
	// end inline asm
	shr.u32 	%r3, %r2, 3;
	cvt.u64.u32 	%rd6, %r3;
	and.b64  	%rd7, %rd6, 28;
	add.s64 	%rd8, %rd5, %rd7;
	and.b32  	%r4, %r2, 31;
	mov.u32 	%r5, 1;
	shl.b32 	%r6, %r5, %r4;
	atom.global.or.b32 	%r7, [%rd8], %r6;
	// begin inline asm
	mov.u64 %rd4, %globaltimer;
	// end inline asm

$L__BB2_2:
	// begin inline asm
	mov.u64 %rd9, %globaltimer;
	// end inline asm
	sub.s64 	%rd10, %rd9, %rd4;
	setp.lt.u64 	%p2, %rd10, %rd3;
	@%p2 bra 	$L__BB2_2;

$L__BB2_3:
	ret;

}
	// .globl	hold
.visible .entry hold(
	.param .u64 hold_param_0,
	.param .u64 hold_param_1
)
{
	.reg .pred 	%p<8>;
	.reg .b32 	%r<15>;
	.reg .b64 	%rd<9>;

	ld.param.u64 	%rd5, [hold_param_0];
	ld.param.u64 	%rd6, [hold_param_1];
	cvta.to.global.u64 	%rd1, %rd6;
	cvta.to.global.u64 	%rd2, %rd5;
	mov.u32 	%r1, %tid.x;
	setp.ne.s32 	%p1, %r1, 0;
	@%p1 bra 	$L__BB3_9;

	add.s64 	%rd7, %rd2, 4;
	atom.global.sys.add.u32 	%r2, [%rd7], 1;
	mov.u32 	%r3, %ctaid.x;
	setp.ne.s32 	%p2, %r3, 0;
	@%p2 bra 	$L__BB3_5;

	ld.volatile.global.u32 	%r4, [%rd2];
	setp.ne.s32 	%p3, %r4, 0;
	@%p3 bra 	$L__BB3_4;

$L__BB3_3:
	mov.u32 	%r5, 1000;
	// begin inline asm
	nanosleep.u32 %r5;
	// end inline asm
	ld.volatile.global.u32 	%r6, [%rd2];
	setp.eq.s32 	%p4, %r6, 0;
	@%p4 bra 	$L__BB3_3;

$L__BB3_4:
	mov.u32 	%r7, 1;
	st.volatile.global.u32 	[%rd1], %r7;

$L__BB3_5:
	ld.volatile.global.u32 	%r8, [%rd1];
	setp.ne.s32 	%p5, %r8, 0;
	@%p5 bra 	$L__BB3_7;

$L__BB3_6:
	mov.u32 	%r9, 2000;
	// begin inline asm
	nanosleep.u32 %r9;
	// end inline asm
	ld.volatile.global.u32 	%r10, [%rd1];
	setp.eq.s32 	%p6, %r10, 0;
	@%p6 bra 	$L__BB3_6;

$L__BB3_7:
	add.s64 	%rd8, %rd1, 4;
	atom.global.add.u32 	%r11, [%rd8], 1;
	mov.u32 	%r12, %nctaid.x;
	add.s32 	%r13, %r12, -1;
	setp.ne.s32 	%p7, %r11, %r13;
	@%p7 bra 	$L__BB3_9;

	mov.u32 	%r14, 0;
	st.global.u32 	[%rd1+4], %r14;
	st.global.u32 	[%rd1], %r14;

$L__BB3_9:
	bar.sync 	0;
	ret;

}
	// .globl	nothing
.visible .entry nothing()
{

	ret;

}
	// .globl	tell_time
.visible .entry tell_time(
	.param .u64 tell_time_param_0,
	.param .u32 tell_time_param_1
)
{
	.reg .pred 	%p<4>;
	.reg .b32 	%r<7>;
	.reg .b64 	%rd<5>;

	ld.param.u64 	%rd3, [tell_time_param_0];
	ld.param.u32 	%r3, [tell_time_param_1];
	setp.eq.s32 	%p1, %r3, 0;
	@%p1 bra 	$L__BB5_4;

	cvta.to.global.u64 	%rd1, %rd3;
	mov.u32 	%r6, 1;

$L__BB5_2:
	ld.volatile.global.u32 	%r5, [%rd1];
	setp.ne.s32 	%p2, %r5, %r6;
	@%p2 bra 	$L__BB5_2;

	// begin inline asm
	mov.u64 %rd4, %globaltimer;
	// end inline asm
	st.volatile.global.u64 	[%rd1+8], %rd4;
	membar.sys;
	st.volatile.global.u32 	[%rd1+4], %r6;
	add.s32 	%r6, %r6, 1;
	setp.le.u32 	%p3, %r6, %r3;
	@%p3 bra 	$L__BB5_2;

$L__BB5_4:
	ret;

}
)ptx";

}  // namespace tessera::device::contract
