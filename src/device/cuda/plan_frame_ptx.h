// Made by scripts/kernels-ptx: do not edit.
// Of plan_frame.cu plan_moves.h with digest a070efc036f6c8e14d173405e4b2b6e03a290d4e100686aa1c1e0555f25f06f7.
#pragma once

namespace tessera::device {

inline constexpr const char* kPlanFramePtx = R"ptx(

.version 9.0
.target sm_75
.address_size 64

	// .globl	plan_gather
.func _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE
(
	.param .b64 _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_0,
	.param .b64 _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_1
)
;
.func _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy
(
	.param .b64 _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0,
	.param .b64 _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1
)
;

.visible .entry plan_gather(
	.param .u64 plan_gather_param_0,
	.param .u64 plan_gather_param_1
)
.maxntid 512, 1, 1
.minnctapersm 2
{
	.local .align 8 .b8 	__local_depot0[24];
	.reg .b64 	%SP;
	.reg .b64 	%SPL;
	.reg .pred 	%p<11>;
	.reg .b16 	%rs<2>;
	.reg .b32 	%r<20>;
	.reg .b64 	%rd<26>;
	// demoted variable
	.shared .align 8 .b8 _ZZ11plan_gatherE4work[6672];

	mov.u64 	%SPL, __local_depot0;
	cvta.local.u64 	%SP, %SPL;
	ld.param.u64 	%rd7, [plan_gather_param_0];
	ld.param.u64 	%rd8, [plan_gather_param_1];
	mov.u32 	%r1, %tid.x;
	mov.u32 	%r2, %ctaid.x;
	or.b32  	%r3, %r2, %r1;
	setp.ne.s32 	%p1, %r3, 0;
	mov.u64 	%rd24, 0;
	@%p1 bra 	$L__BB0_2;

	// begin inline asm
	mov.u64 %rd24, %globaltimer;
	// end inline asm

$L__BB0_2:
	setp.gt.u32 	%p2, %r1, 63;
	@%p2 bra 	$L__BB0_4;

	cvta.to.global.u64 	%rd11, %rd7;
	mul.wide.u32 	%rd12, %r1, 8;
	add.s64 	%rd13, %rd11, %rd12;
	ld.volatile.global.u64 	%rd14, [%rd13];
	shl.b32 	%r5, %r1, 3;
	mov.u32 	%r6, _ZZ11plan_gatherE4work;
	add.s32 	%r7, %r6, %r5;
	st.shared.u64 	[%r7], %rd14;

$L__BB0_4:
	bar.sync 	0;
	setp.ne.s32 	%p3, %r2, 0;
	@%p3 bra 	$L__BB0_10;

	ld.shared.u32 	%r8, [_ZZ11plan_gatherE4work+16];
	setp.lt.u32 	%p4, %r8, 8;
	mad.lo.s32 	%r9, %r8, 3, 4;
	selp.b32 	%r10, %r9, 28, %p4;
	setp.ge.u32 	%p5, %r1, %r10;
	@%p5 bra 	$L__BB0_10;

	setp.lt.u32 	%p6, %r1, 4;
	ld.shared.u32 	%r11, [_ZZ11plan_gatherE4work+12];
	mad.lo.s32 	%r12, %r11, 3, %r1;
	selp.b32 	%r4, %r1, %r12, %p6;
	setp.lt.u32 	%p7, %r4, 64;
	@%p7 bra 	$L__BB0_8;
	bra.uni 	$L__BB0_7;

$L__BB0_8:
	shl.b32 	%r13, %r4, 3;
	mov.u32 	%r14, _ZZ11plan_gatherE4work;
	add.s32 	%r15, %r14, %r13;
	ld.shared.u64 	%rd25, [%r15];
	bra.uni 	$L__BB0_9;

$L__BB0_7:
	cvta.to.global.u64 	%rd15, %rd7;
	mul.wide.u32 	%rd16, %r4, 8;
	add.s64 	%rd17, %rd15, %rd16;
	ld.volatile.global.u64 	%rd25, [%rd17];

$L__BB0_9:
	cvta.to.global.u64 	%rd18, %rd8;
	mul.wide.u32 	%rd19, %r1, 8;
	add.s64 	%rd20, %rd18, %rd19;
	st.global.u64 	[%rd20+32], %rd25;

$L__BB0_10:
	ld.shared.u64 	%rd6, [_ZZ11plan_gatherE4work+24];
	setp.eq.s64 	%p9, %rd6, 0;
	or.pred  	%p10, %p9, %p1;
	@%p10 bra 	$L__BB0_12;

	st.volatile.u64 	[%rd6], %rd24;

$L__BB0_12:
	mov.u32 	%r16, 20;
	add.u64 	%rd21, %SP, 0;
	add.u64 	%rd22, %SPL, 0;
	st.local.u32 	[%rd22+16], %r16;
	mov.u16 	%rs1, 0;
	st.local.v4.u8 	[%rd22+20], {%rs1, %rs1, %rs1, %rs1};
	st.local.u64 	[%rd22], %rd7;
	mov.u32 	%r17, _ZZ11plan_gatherE4work;
	mov.u32 	%r18, 0;
	ld.shared.u32 	%r19, [_ZZ11plan_gatherE4work+12];
	st.local.v2.u32 	[%rd22+8], {%r18, %r19};
	{ .reg .b64 %tmp;
	  cvt.u64.u32 	%tmp, %r17;
	  cvta.shared.u64 	%rd23, %tmp; }
	{ // callseq 0, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd23;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd21;
	call.uni 
	_ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE, 
	(
	param0, 
	param1
	);
	} // callseq 0
	ret;

}
.func _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE(
	.param .b64 _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_0,
	.param .b64 _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_1
)
{
	.reg .pred 	%p<61>;
	.reg .b16 	%rs<77>;
	.reg .f32 	%f<17>;
	.reg .b32 	%r<361>;
	.reg .b64 	%rd<147>;

	ld.param.u64 	%rd42, [_ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_0];
	ld.param.u64 	%rd43, [_ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_1];
	{ .reg .b64 %tmp;
	  cvta.to.shared.u64 	%tmp, %rd42;
	  cvt.u32.u64 	%r1, %tmp; }
	cvta.to.local.u64 	%rd44, %rd43;
	add.s64 	%rd1, %rd44, 12;
	ld.local.u32 	%r283, [%rd44+12];
	setp.eq.s32 	%p1, %r283, 0;
	@%p1 bra 	$L__BB1_90;

	mov.u32 	%r3, %tid.x;
	cvt.u64.u32 	%rd45, %r3;
	mov.u32 	%r161, %nctaid.x;
	mul.wide.u32 	%rd2, %r161, 512;
	mov.u32 	%r162, %ctaid.x;
	mul.wide.u32 	%rd46, %r162, 512;
	add.s64 	%rd3, %rd46, %rd45;
	add.s32 	%r8, %r1, 512;
	mad.lo.s32 	%r4, %r3, 48, %r8;
	and.b32  	%r6, %r3, 3;
	sub.s32 	%r7, %r3, %r6;
	mov.u32 	%r284, 0;

$L__BB1_2:
	sub.s32 	%r163, %r283, %r284;
	min.u32 	%r11, %r163, 128;
	setp.ge.u32 	%p2, %r3, %r11;
	@%p2 bra 	$L__BB1_23;

	add.s32 	%r12, %r284, %r3;
	ld.local.u32 	%r13, [%rd1+4];
	setp.gt.u32 	%p3, %r13, %r12;
	mad.lo.s32 	%r14, %r12, 24, %r1;
	@%p3 bra 	$L__BB1_5;
	bra.uni 	$L__BB1_4;

$L__BB1_5:
	ld.shared.u64 	%rd130, [%r14+32];
	bra.uni 	$L__BB1_6;

$L__BB1_4:
	ld.local.u32 	%r164, [%rd1+-4];
	add.s32 	%r165, %r164, %r12;
	mad.lo.s32 	%r166, %r165, 3, 4;
	ld.local.u64 	%rd47, [%rd1+-12];
	mul.wide.u32 	%rd48, %r166, 8;
	add.s64 	%rd49, %rd47, %rd48;
	ld.volatile.u64 	%rd130, [%rd49];

$L__BB1_6:
	@%p3 bra 	$L__BB1_8;
	bra.uni 	$L__BB1_7;

$L__BB1_8:
	ld.shared.u64 	%rd131, [%r14+40];
	bra.uni 	$L__BB1_9;

$L__BB1_7:
	ld.local.u32 	%r167, [%rd1+-4];
	add.s32 	%r168, %r167, %r12;
	mad.lo.s32 	%r169, %r168, 3, 5;
	ld.local.u64 	%rd50, [%rd1+-12];
	mul.wide.u32 	%rd51, %r169, 8;
	add.s64 	%rd52, %rd50, %rd51;
	ld.volatile.u64 	%rd131, [%rd52];

$L__BB1_9:
	@%p3 bra 	$L__BB1_11;
	bra.uni 	$L__BB1_10;

$L__BB1_11:
	ld.shared.u64 	%rd132, [%r14+48];
	bra.uni 	$L__BB1_12;

$L__BB1_10:
	ld.local.u32 	%r170, [%rd1+-4];
	add.s32 	%r171, %r170, %r12;
	mad.lo.s32 	%r172, %r171, 3, 6;
	ld.local.u64 	%rd53, [%rd1+-12];
	mul.wide.u32 	%rd54, %r172, 8;
	add.s64 	%rd55, %rd53, %rd54;
	ld.volatile.u64 	%rd132, [%rd55];

$L__BB1_12:
	shr.u64 	%rd56, %rd132, 32;
	cvt.u32.u64 	%r15, %rd56;
	and.b32  	%r173, %r15, -256;
	setp.eq.s32 	%p6, %r173, 0;
	@%p6 bra 	$L__BB1_14;

	and.b64  	%rd57, %rd131, 15;
	setp.eq.s64 	%p7, %rd57, 0;
	selp.b32 	%r285, 16, 2, %p7;
	bra.uni 	$L__BB1_22;

$L__BB1_14:
	setp.eq.s32 	%p8, %r15, 1;
	@%p8 bra 	$L__BB1_21;
	bra.uni 	$L__BB1_15;

$L__BB1_21:
	or.b64  	%rd65, %rd131, %rd130;
	and.b64  	%rd66, %rd65, 15;
	setp.eq.s64 	%p15, %rd66, 0;
	selp.b32 	%r285, 16, 2, %p15;
	bra.uni 	$L__BB1_22;

$L__BB1_15:
	setp.eq.s32 	%p9, %r15, 2;
	@%p9 bra 	$L__BB1_20;
	bra.uni 	$L__BB1_16;

$L__BB1_20:
	and.b64  	%rd62, %rd130, 7;
	and.b64  	%rd63, %rd131, 15;
	or.b64  	%rd64, %rd63, %rd62;
	setp.eq.s64 	%p14, %rd64, 0;
	selp.b32 	%r285, 16, 2, %p14;
	bra.uni 	$L__BB1_22;

$L__BB1_16:
	or.b64  	%rd13, %rd131, %rd130;
	and.b64  	%rd58, %rd13, 15;
	setp.eq.s64 	%p10, %rd58, 0;
	mov.u32 	%r285, 16;
	@%p10 bra 	$L__BB1_22;

	or.b64  	%rd126, %rd131, %rd130;
	and.b64  	%rd59, %rd126, 7;
	setp.eq.s64 	%p11, %rd59, 0;
	mov.u32 	%r285, 8;
	@%p11 bra 	$L__BB1_22;

	or.b64  	%rd127, %rd131, %rd130;
	and.b64  	%rd60, %rd127, 3;
	setp.eq.s64 	%p12, %rd60, 0;
	mov.u32 	%r285, 4;
	@%p12 bra 	$L__BB1_22;

	or.b64  	%rd128, %rd131, %rd130;
	and.b64  	%rd61, %rd128, 1;
	setp.eq.b64 	%p13, %rd61, 1;
	selp.b32 	%r285, 1, 2, %p13;

$L__BB1_22:
	shr.u64 	%rd129, %rd132, 32;
	cvt.u32.u64 	%r282, %rd129;
	and.b64  	%rd67, %rd132, 4294967295;
	cvt.u64.u32 	%rd68, %r285;
	add.s64 	%rd69, %rd67, %rd68;
	add.s64 	%rd70, %rd69, -1;
	brev.b32 	%r177, %r285;
	bfind.shiftamt.u32 	%r178, %r177;
	shr.u64 	%rd71, %rd70, %r178;
	st.shared.u64 	[%r4], %rd130;
	st.shared.u64 	[%r4+8], %rd131;
	mov.u64 	%rd72, 0;
	cvt.u32.u64 	%r179, %rd132;
	st.shared.v2.u32 	[%r4+16], {%r179, %r285};
	st.shared.u32 	[%r4+24], %r282;
	st.shared.u64 	[%r4+32], %rd71;
	st.shared.u64 	[%r4+40], %rd72;

$L__BB1_23:
	bar.sync 	0;
	@%p2 bra 	$L__BB1_34;

	setp.eq.s32 	%p17, %r3, 0;
	mov.u64 	%rd136, 0;
	@%p17 bra 	$L__BB1_32;

	add.s32 	%r277, %r3, -1;
	setp.lt.u32 	%p18, %r277, 3;
	mov.u64 	%rd136, 0;
	mov.u32 	%r288, 0;
	@%p18 bra 	$L__BB1_28;

	mov.u64 	%rd136, 0;
	mov.u32 	%r288, 0;
	mov.u32 	%r287, %r7;

$L__BB1_27:
	mad.lo.s32 	%r182, %r288, 48, %r1;
	ld.shared.u64 	%rd77, [%r182+544];
	add.s64 	%rd78, %rd77, %rd136;
	ld.shared.u64 	%rd79, [%r182+592];
	add.s64 	%rd80, %rd79, %rd78;
	ld.shared.u64 	%rd81, [%r182+640];
	add.s64 	%rd82, %rd81, %rd80;
	ld.shared.u64 	%rd83, [%r182+688];
	add.s64 	%rd136, %rd83, %rd82;
	add.s32 	%r288, %r288, 4;
	add.s32 	%r287, %r287, -4;
	setp.ne.s32 	%p19, %r287, 0;
	@%p19 bra 	$L__BB1_27;

$L__BB1_28:
	setp.eq.s32 	%p20, %r6, 0;
	@%p20 bra 	$L__BB1_32;

	setp.eq.s32 	%p21, %r6, 1;
	mad.lo.s32 	%r183, %r288, 48, %r1;
	ld.shared.u64 	%rd84, [%r183+544];
	add.s64 	%rd136, %rd84, %rd136;
	@%p21 bra 	$L__BB1_32;

	setp.eq.s32 	%p22, %r6, 2;
	add.s32 	%r258, %r183, 544;
	ld.shared.u64 	%rd85, [%r258+48];
	add.s64 	%rd136, %rd85, %rd136;
	@%p22 bra 	$L__BB1_32;

	add.s32 	%r259, %r183, 544;
	ld.shared.u64 	%rd86, [%r259+96];
	add.s64 	%rd136, %rd86, %rd136;

$L__BB1_32:
	st.shared.u64 	[%r4+40], %rd136;
	add.s32 	%r184, %r11, -1;
	setp.ne.s32 	%p23, %r3, %r184;
	@%p23 bra 	$L__BB1_34;

	st.shared.u32 	[%r1+6656], %r11;
	ld.shared.u64 	%rd87, [%r4+32];
	add.s64 	%rd88, %rd87, %rd136;
	st.shared.u64 	[%r1+6664], %rd88;

$L__BB1_34:
	bar.sync 	0;
	ld.shared.u64 	%rd137, [%r1+6664];
	setp.ge.u64 	%p24, %rd3, %rd137;
	@%p24 bra 	$L__BB1_89;

	mov.u32 	%r325, 0;
	mov.u64 	%rd143, %rd3;

$L__BB1_36:
	mov.u32 	%r324, 0;
	setp.ge.u64 	%p25, %rd143, %rd137;
	mov.u64 	%rd144, 0;
	mov.u64 	%rd141, %rd144;
	@%p25 bra 	$L__BB1_51;

	add.s32 	%r279, %r1, 512;
	ld.shared.u32 	%r45, [%r1+6656];
	mad.lo.s32 	%r306, %r325, 48, %r279;
	mov.u32 	%r307, %r325;

$L__BB1_38:
	mov.u32 	%r325, %r307;
	mov.u32 	%r324, %r306;
	add.s32 	%r307, %r325, 1;
	setp.ge.u32 	%p26, %r307, %r45;
	@%p26 bra 	$L__BB1_40;

	ld.shared.u64 	%rd91, [%r324+88];
	setp.ge.u64 	%p27, %rd143, %rd91;
	add.s32 	%r306, %r324, 48;
	@%p27 bra 	$L__BB1_38;

$L__BB1_40:
	ld.shared.u64 	%rd92, [%r324+40];
	sub.s64 	%rd93, %rd143, %rd92;
	ld.shared.u32 	%rd94, [%r324+20];
	mul.lo.s64 	%rd142, %rd93, %rd94;
	setp.ne.s64 	%p28, %rd94, 16;
	mov.u16 	%rs73, 0;
	@%p28 bra 	$L__BB1_43;

	ld.shared.u32 	%rd95, [%r324+16];
	sub.s64 	%rd96, %rd95, %rd142;
	setp.lt.u64 	%p29, %rd96, 16;
	@%p29 bra 	$L__BB1_43;

	ld.shared.u32 	%r189, [%r324+24];
	and.b32  	%r190, %r189, -256;
	setp.eq.s32 	%p30, %r190, 0;
	selp.u16 	%rs73, 1, 0, %p30;

$L__BB1_43:
	setp.eq.s16 	%p31, %rs73, 0;
	mov.u32 	%r308, %r294;
	mov.u32 	%r309, %r295;
	mov.u32 	%r310, %r296;
	mov.u32 	%r311, %r297;
	@%p31 bra 	$L__BB1_50;

	ld.shared.u64 	%rd28, [%r324];
	mov.u32 	%r308, 0;
	setp.eq.s64 	%p32, %rd28, 0;
	mov.u32 	%r309, %r308;
	mov.u32 	%r310, %r308;
	mov.u32 	%r311, %r308;
	mov.u32 	%r312, %r308;
	mov.u32 	%r313, %r308;
	mov.u32 	%r314, %r308;
	mov.u32 	%r315, %r308;
	@%p32 bra 	$L__BB1_50;

	ld.shared.u32 	%r51, [%r324+24];
	setp.eq.s32 	%p33, %r51, 1;
	@%p33 bra 	$L__BB1_49;
	bra.uni 	$L__BB1_46;

$L__BB1_49:
	shl.b64 	%rd100, %rd142, 1;
	add.s64 	%rd101, %rd28, %rd100;
	ld.v4.u32 	{%r315, %r314, %r313, %r312}, [%rd101];
	ld.v4.u32 	{%r311, %r310, %r309, %r308}, [%rd101+16];
	bra.uni 	$L__BB1_50;

$L__BB1_46:
	setp.eq.s32 	%p34, %r51, 2;
	@%p34 bra 	$L__BB1_48;
	bra.uni 	$L__BB1_47;

$L__BB1_48:
	mov.u32 	%r312, 0;
	shr.u64 	%rd98, %rd142, 1;
	add.s64 	%rd99, %rd28, %rd98;
	ld.v2.u32 	{%r315, %r314}, [%rd99];
	mov.u32 	%r308, %r294;
	mov.u32 	%r309, %r295;
	mov.u32 	%r310, %r296;
	mov.u32 	%r311, %r297;
	mov.u32 	%r313, %r312;
	bra.uni 	$L__BB1_50;

$L__BB1_47:
	add.s64 	%rd97, %rd28, %rd142;
	ld.v4.u32 	{%r315, %r314, %r313, %r312}, [%rd97];
	mov.u32 	%r308, %r294;
	mov.u32 	%r309, %r295;
	mov.u32 	%r310, %r296;
	mov.u32 	%r311, %r297;

$L__BB1_50:
	add.s64 	%rd143, %rd143, %rd2;
	mul.wide.u32 	%rd102, %r325, 48;
	add.s64 	%rd103, %rd42, %rd102;
	add.s64 	%rd141, %rd103, 512;
	mov.u32 	%r297, %r311;
	mov.u32 	%r296, %r310;
	mov.u32 	%r295, %r309;
	mov.u32 	%r294, %r308;

$L__BB1_51:
	setp.ge.u64 	%p35, %rd143, %rd137;
	mov.u32 	%r340, 0;
	@%p35 bra 	$L__BB1_66;

	ld.shared.u32 	%r85, [%r1+6656];
	mov.u32 	%r326, %r325;

$L__BB1_53:
	mov.u32 	%r325, %r326;
	add.s32 	%r326, %r325, 1;
	setp.ge.u32 	%p36, %r326, %r85;
	mad.lo.s32 	%r217, %r325, 48, %r1;
	@%p36 bra 	$L__BB1_55;

	add.s32 	%r260, %r217, 512;
	ld.shared.u64 	%rd105, [%r260+88];
	setp.ge.u64 	%p37, %rd143, %rd105;
	@%p37 bra 	$L__BB1_53;

$L__BB1_55:
	add.s32 	%r261, %r217, 512;
	ld.shared.u64 	%rd106, [%r261+40];
	sub.s64 	%rd107, %rd143, %rd106;
	add.s32 	%r262, %r217, 512;
	ld.shared.u32 	%rd108, [%r262+20];
	mul.lo.s64 	%rd145, %rd107, %rd108;
	setp.ne.s64 	%p38, %rd108, 16;
	mov.u16 	%rs74, 0;
	@%p38 bra 	$L__BB1_58;

	add.s32 	%r263, %r217, 512;
	ld.shared.u32 	%rd109, [%r263+16];
	sub.s64 	%rd110, %rd109, %rd145;
	setp.lt.u64 	%p39, %rd110, 16;
	@%p39 bra 	$L__BB1_58;

	add.s32 	%r264, %r217, 512;
	ld.shared.u32 	%r218, [%r264+24];
	and.b32  	%r219, %r218, -256;
	setp.eq.s32 	%p40, %r219, 0;
	selp.u16 	%rs74, 1, 0, %p40;

$L__BB1_58:
	setp.eq.s16 	%p41, %rs74, 0;
	mov.u32 	%r327, %r289;
	mov.u32 	%r332, %r302;
	mov.u32 	%r333, %r303;
	mov.u32 	%r334, %r304;
	@%p41 bra 	$L__BB1_65;

	add.s32 	%r265, %r217, 512;
	ld.shared.u64 	%rd35, [%r265];
	mov.u32 	%r327, 0;
	setp.eq.s64 	%p42, %rd35, 0;
	mov.u32 	%r328, %r327;
	mov.u32 	%r329, %r327;
	mov.u32 	%r330, %r327;
	mov.u32 	%r331, %r327;
	mov.u32 	%r332, %r327;
	mov.u32 	%r333, %r327;
	mov.u32 	%r334, %r327;
	@%p42 bra 	$L__BB1_65;

	add.s32 	%r266, %r217, 512;
	ld.shared.u32 	%r89, [%r266+24];
	setp.eq.s32 	%p43, %r89, 1;
	@%p43 bra 	$L__BB1_64;
	bra.uni 	$L__BB1_61;

$L__BB1_64:
	shl.b64 	%rd114, %rd145, 1;
	add.s64 	%rd115, %rd35, %rd114;
	ld.v4.u32 	{%r331, %r330, %r329, %r328}, [%rd115];
	ld.v4.u32 	{%r327, %r332, %r333, %r334}, [%rd115+16];
	bra.uni 	$L__BB1_65;

$L__BB1_61:
	setp.eq.s32 	%p44, %r89, 2;
	@%p44 bra 	$L__BB1_63;
	bra.uni 	$L__BB1_62;

$L__BB1_63:
	mov.u32 	%r328, 0;
	shr.u64 	%rd112, %rd145, 1;
	add.s64 	%rd113, %rd35, %rd112;
	ld.v2.u32 	{%r331, %r330}, [%rd113];
	mov.u32 	%r327, %r289;
	mov.u32 	%r329, %r328;
	mov.u32 	%r332, %r302;
	mov.u32 	%r333, %r303;
	mov.u32 	%r334, %r304;
	bra.uni 	$L__BB1_65;

$L__BB1_62:
	add.s64 	%rd111, %rd35, %rd145;
	ld.v4.u32 	{%r331, %r330, %r329, %r328}, [%rd111];
	mov.u32 	%r327, %r289;
	mov.u32 	%r332, %r302;
	mov.u32 	%r333, %r303;
	mov.u32 	%r334, %r304;

$L__BB1_65:
	mad.lo.s32 	%r276, %r325, 48, %r1;
	add.s32 	%r340, %r276, 512;
	add.s64 	%rd143, %rd143, %rd2;
	mul.wide.u32 	%rd116, %r325, 48;
	add.s64 	%rd117, %rd42, %rd116;
	add.s64 	%rd144, %rd117, 512;
	mov.u32 	%r304, %r334;
	mov.u32 	%r303, %r333;
	mov.u32 	%r302, %r332;
	mov.u32 	%r289, %r327;

$L__BB1_66:
	setp.eq.s64 	%p45, %rd141, 0;
	@%p45 bra 	$L__BB1_88;

	ld.shared.u32 	%r244, [%r324+20];
	setp.ne.s32 	%p46, %r244, 16;
	mov.u16 	%rs75, 0;
	@%p46 bra 	$L__BB1_70;

	add.s32 	%r267, %r324, 20;
	ld.shared.u32 	%rd118, [%r267+-4];
	sub.s64 	%rd119, %rd118, %rd142;
	setp.lt.u64 	%p47, %rd119, 16;
	@%p47 bra 	$L__BB1_70;

	add.s32 	%r268, %r324, 20;
	ld.shared.u32 	%r245, [%r268+4];
	and.b32  	%r246, %r245, -256;
	setp.eq.s32 	%p48, %r246, 0;
	selp.u16 	%rs75, 1, 0, %p48;

$L__BB1_70:
	setp.eq.s16 	%p49, %rs75, 0;
	@%p49 bra 	$L__BB1_76;

	add.s32 	%r269, %r324, 20;
	ld.shared.u32 	%r123, [%r269+4];
	setp.eq.s32 	%p50, %r123, 1;
	@%p50 bra 	$L__BB1_74;
	bra.uni 	$L__BB1_72;

$L__BB1_74:
	mov.b32 	%f1, %r315;
	// begin inline asm
	cvt.rn.f16.f32 %rs35, %f1;
	// end inline asm
	mov.b32 	%f2, %r314;
	// begin inline asm
	cvt.rn.f16.f32 %rs36, %f2;
	// end inline asm
	mov.b32 	%f3, %r313;
	// begin inline asm
	cvt.rn.f16.f32 %rs37, %f3;
	// end inline asm
	mov.b32 	%f4, %r312;
	// begin inline asm
	cvt.rn.f16.f32 %rs38, %f4;
	// end inline asm
	mov.b32 	%f5, %r297;
	// begin inline asm
	cvt.rn.f16.f32 %rs39, %f5;
	// end inline asm
	mov.b32 	%f6, %r296;
	// begin inline asm
	cvt.rn.f16.f32 %rs40, %f6;
	// end inline asm
	mov.b32 	%f7, %r295;
	// begin inline asm
	cvt.rn.f16.f32 %rs41, %f7;
	// end inline asm
	mov.b32 	%f8, %r294;
	// begin inline asm
	cvt.rn.f16.f32 %rs42, %f8;
	// end inline asm
	mov.b32 	%r348, {%rs41, %rs42};
	mov.b32 	%r347, {%rs39, %rs40};
	mov.b32 	%r346, {%rs37, %rs38};
	mov.b32 	%r345, {%rs35, %rs36};
	bra.uni 	$L__BB1_75;

$L__BB1_76:
	{ // callseq 1, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd141;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd142;
	call.uni 
	_ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy, 
	(
	param0, 
	param1
	);
	} // callseq 1
	bra.uni 	$L__BB1_77;

$L__BB1_72:
	setp.ne.s32 	%p51, %r123, 2;
	mov.u32 	%r345, %r315;
	mov.u32 	%r346, %r314;
	mov.u32 	%r347, %r313;
	mov.u32 	%r348, %r312;
	@%p51 bra 	$L__BB1_75;

	cvt.u16.u32 	%rs31, %r315;
	and.b16  	%rs16, %rs31, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs15, %rs16;
	// end inline asm
	shr.u16 	%rs18, %rs31, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs17, %rs18;
	// end inline asm
	shr.u32 	%r247, %r315, 16;
	cvt.u16.u32 	%rs32, %r247;
	and.b16  	%rs20, %rs32, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs19, %rs20;
	// end inline asm
	shr.u32 	%r248, %r315, 24;
	cvt.u16.u32 	%rs22, %r248;
	// begin inline asm
	cvt.rn.f16.u16 %rs21, %rs22;
	// end inline asm
	cvt.u16.u32 	%rs33, %r314;
	and.b16  	%rs24, %rs33, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs23, %rs24;
	// end inline asm
	shr.u16 	%rs26, %rs33, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs25, %rs26;
	// end inline asm
	shr.u32 	%r249, %r314, 16;
	cvt.u16.u32 	%rs34, %r249;
	and.b16  	%rs28, %rs34, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs27, %rs28;
	// end inline asm
	shr.u32 	%r250, %r314, 24;
	cvt.u16.u32 	%rs30, %r250;
	// begin inline asm
	cvt.rn.f16.u16 %rs29, %rs30;
	// end inline asm
	mov.b32 	%r347, {%rs23, %rs25};
	mov.b32 	%r345, {%rs15, %rs17};
	mov.b32 	%r348, {%rs27, %rs29};
	mov.b32 	%r346, {%rs19, %rs21};

$L__BB1_75:
	add.s32 	%r270, %r324, 20;
	ld.shared.u64 	%rd120, [%r270+-12];
	add.s64 	%rd121, %rd120, %rd142;
	st.v4.u32 	[%rd121], {%r345, %r346, %r347, %r348};

$L__BB1_77:
	setp.eq.s64 	%p52, %rd144, 0;
	@%p52 bra 	$L__BB1_88;

	ld.shared.u32 	%r251, [%r340+20];
	setp.ne.s32 	%p53, %r251, 16;
	mov.u16 	%rs76, 0;
	@%p53 bra 	$L__BB1_81;

	add.s32 	%r271, %r340, 20;
	ld.shared.u32 	%rd122, [%r271+-4];
	sub.s64 	%rd123, %rd122, %rd145;
	setp.lt.u64 	%p54, %rd123, 16;
	@%p54 bra 	$L__BB1_81;

	add.s32 	%r272, %r340, 20;
	ld.shared.u32 	%r252, [%r272+4];
	and.b32  	%r253, %r252, -256;
	setp.eq.s32 	%p55, %r253, 0;
	selp.u16 	%rs76, 1, 0, %p55;

$L__BB1_81:
	setp.eq.s16 	%p56, %rs76, 0;
	@%p56 bra 	$L__BB1_87;

	add.s32 	%r273, %r340, 20;
	ld.shared.u32 	%r141, [%r273+4];
	setp.eq.s32 	%p57, %r141, 1;
	@%p57 bra 	$L__BB1_85;
	bra.uni 	$L__BB1_83;

$L__BB1_85:
	mov.b32 	%f9, %r331;
	// begin inline asm
	cvt.rn.f16.f32 %rs65, %f9;
	// end inline asm
	mov.b32 	%f10, %r330;
	// begin inline asm
	cvt.rn.f16.f32 %rs66, %f10;
	// end inline asm
	mov.b32 	%f11, %r329;
	// begin inline asm
	cvt.rn.f16.f32 %rs67, %f11;
	// end inline asm
	mov.b32 	%f12, %r328;
	// begin inline asm
	cvt.rn.f16.f32 %rs68, %f12;
	// end inline asm
	mov.b32 	%f13, %r289;
	// begin inline asm
	cvt.rn.f16.f32 %rs69, %f13;
	// end inline asm
	mov.b32 	%f14, %r302;
	// begin inline asm
	cvt.rn.f16.f32 %rs70, %f14;
	// end inline asm
	mov.b32 	%f15, %r303;
	// begin inline asm
	cvt.rn.f16.f32 %rs71, %f15;
	// end inline asm
	mov.b32 	%f16, %r304;
	// begin inline asm
	cvt.rn.f16.f32 %rs72, %f16;
	// end inline asm
	mov.b32 	%r352, {%rs71, %rs72};
	mov.b32 	%r351, {%rs69, %rs70};
	mov.b32 	%r350, {%rs67, %rs68};
	mov.b32 	%r349, {%rs65, %rs66};
	bra.uni 	$L__BB1_86;

$L__BB1_87:
	{ // callseq 2, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd144;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd145;
	call.uni 
	_ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy, 
	(
	param0, 
	param1
	);
	} // callseq 2
	bra.uni 	$L__BB1_88;

$L__BB1_83:
	setp.ne.s32 	%p58, %r141, 2;
	mov.u32 	%r349, %r331;
	mov.u32 	%r350, %r330;
	mov.u32 	%r351, %r329;
	mov.u32 	%r352, %r328;
	@%p58 bra 	$L__BB1_86;

	cvt.u16.u32 	%rs61, %r331;
	and.b16  	%rs46, %rs61, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs45, %rs46;
	// end inline asm
	shr.u16 	%rs48, %rs61, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs47, %rs48;
	// end inline asm
	shr.u32 	%r254, %r331, 16;
	cvt.u16.u32 	%rs62, %r254;
	and.b16  	%rs50, %rs62, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs49, %rs50;
	// end inline asm
	shr.u32 	%r255, %r331, 24;
	cvt.u16.u32 	%rs52, %r255;
	// begin inline asm
	cvt.rn.f16.u16 %rs51, %rs52;
	// end inline asm
	cvt.u16.u32 	%rs63, %r330;
	and.b16  	%rs54, %rs63, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs53, %rs54;
	// end inline asm
	shr.u16 	%rs56, %rs63, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs55, %rs56;
	// end inline asm
	shr.u32 	%r256, %r330, 16;
	cvt.u16.u32 	%rs64, %r256;
	and.b16  	%rs58, %rs64, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs57, %rs58;
	// end inline asm
	shr.u32 	%r257, %r330, 24;
	cvt.u16.u32 	%rs60, %r257;
	// begin inline asm
	cvt.rn.f16.u16 %rs59, %rs60;
	// end inline asm
	mov.b32 	%r351, {%rs53, %rs55};
	mov.b32 	%r349, {%rs45, %rs47};
	mov.b32 	%r352, {%rs57, %rs59};
	mov.b32 	%r350, {%rs49, %rs51};

$L__BB1_86:
	add.s32 	%r274, %r340, 20;
	ld.shared.u64 	%rd124, [%r274+-12];
	add.s64 	%rd125, %rd124, %rd145;
	st.v4.u32 	[%rd125], {%r349, %r350, %r351, %r352};

$L__BB1_88:
	ld.shared.u64 	%rd137, [%r1+6664];
	setp.lt.u64 	%p59, %rd143, %rd137;
	@%p59 bra 	$L__BB1_36;

$L__BB1_89:
	bar.sync 	0;
	ld.local.u32 	%r283, [%rd1];
	add.s32 	%r284, %r284, 128;
	setp.lt.u32 	%p60, %r284, %r283;
	@%p60 bra 	$L__BB1_2;

$L__BB1_90:
	ret;

}
	// .globl	plan_scatter
.visible .entry plan_scatter(
	.param .u64 plan_scatter_param_0,
	.param .u64 plan_scatter_param_1
)
.maxntid 512, 1, 1
.minnctapersm 2
{
	.local .align 8 .b8 	__local_depot2[24];
	.reg .b64 	%SP;
	.reg .b64 	%SPL;
	.reg .pred 	%p<7>;
	.reg .b16 	%rs<2>;
	.reg .b32 	%r<14>;
	.reg .b64 	%rd<14>;
	// demoted variable
	.shared .align 8 .b8 _ZZ12plan_scatterE4work[6672];

	mov.u64 	%SPL, __local_depot2;
	cvta.local.u64 	%SP, %SPL;
	ld.param.u64 	%rd3, [plan_scatter_param_0];
	ld.param.u64 	%rd4, [plan_scatter_param_1];
	cvta.to.global.u64 	%rd1, %rd4;
	mov.u32 	%r1, %tid.x;
	setp.gt.u32 	%p1, %r1, 27;
	@%p1 bra 	$L__BB2_2;

	mul.wide.u32 	%rd5, %r1, 8;
	add.s64 	%rd6, %rd1, %rd5;
	ld.volatile.global.u64 	%rd7, [%rd6+32];
	shl.b32 	%r3, %r1, 3;
	mov.u32 	%r4, _ZZ12plan_scatterE4work;
	add.s32 	%r5, %r4, %r3;
	st.shared.u64 	[%r5], %rd7;

$L__BB2_2:
	bar.sync 	0;
	mov.u32 	%r6, 8;
	add.u64 	%rd8, %SP, 0;
	add.u64 	%rd9, %SPL, 0;
	st.local.u32 	[%rd9+16], %r6;
	mov.u16 	%rs1, 0;
	st.local.v4.u8 	[%rd9+20], {%rs1, %rs1, %rs1, %rs1};
	st.local.u64 	[%rd9], %rd3;
	mov.u32 	%r7, _ZZ12plan_scatterE4work;
	ld.shared.u32 	%r8, [_ZZ12plan_scatterE4work+16];
	ld.shared.u32 	%r9, [_ZZ12plan_scatterE4work+12];
	st.local.v2.u32 	[%rd9+8], {%r9, %r8};
	{ .reg .b64 %tmp;
	  cvt.u64.u32 	%tmp, %r7;
	  cvta.shared.u64 	%rd10, %tmp; }
	{ // callseq 3, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd10;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd8;
	call.uni 
	_ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE, 
	(
	param0, 
	param1
	);
	} // callseq 3
	bar.sync 	0;
	setp.ne.s32 	%p2, %r1, 0;
	@%p2 bra 	$L__BB2_10;

	membar.sys;
	mov.u32 	%r2, %nctaid.x;
	setp.lt.u32 	%p3, %r2, 2;
	@%p3 bra 	$L__BB2_6;

	atom.global.add.u32 	%r10, [%rd1], 1;
	add.s32 	%r11, %r2, -1;
	setp.ne.s32 	%p4, %r10, %r11;
	@%p4 bra 	$L__BB2_10;

	mov.u32 	%r12, 0;
	st.global.u32 	[%rd1], %r12;
	membar.sys;

$L__BB2_6:
	ld.shared.u64 	%rd2, [_ZZ12plan_scatterE4work];
	setp.eq.s64 	%p5, %rd2, 0;
	@%p5 bra 	$L__BB2_8;

	ld.shared.u32 	%r13, [_ZZ12plan_scatterE4work+8];
	st.volatile.u32 	[%rd2], %r13;

$L__BB2_8:
	ld.shared.u64 	%rd11, [_ZZ12plan_scatterE4work+24];
	setp.eq.s64 	%p6, %rd11, 0;
	@%p6 bra 	$L__BB2_10;

	// begin inline asm
	mov.u64 %rd12, %globaltimer;
	// end inline asm
	ld.shared.u64 	%rd13, [_ZZ12plan_scatterE4work+24];
	st.volatile.u64 	[%rd13+8], %rd12;

$L__BB2_10:
	ret;

}
.func _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy(
	.param .b64 _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0,
	.param .b64 _ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1
)
{
	.local .align 16 .b8 	__local_depot3[16];
	.reg .b64 	%SP;
	.reg .b64 	%SPL;
	.reg .pred 	%p<42>;
	.reg .b16 	%rs<57>;
	.reg .f32 	%f<4>;
	.reg .b32 	%r<124>;
	.reg .b64 	%rd<168>;

	mov.u64 	%SPL, __local_depot3;
	ld.param.u64 	%rd75, [_ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0];
	ld.param.u64 	%rd74, [_ZN44_INTERNAL_57e70a80_13_plan_frame_cu_b021fa6f46_GLOBAL__N__57e70a80_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1];
	{ .reg .b64 %tmp;
	  cvta.to.shared.u64 	%tmp, %rd75;
	  cvt.u32.u64 	%r25, %tmp; }
	add.u64 	%rd1, %SPL, 0;
	ld.shared.v2.u32 	{%r26, %r27}, [%r25+16];
	cvt.u64.u32 	%rd2, %r26;
	sub.s64 	%rd3, %rd2, %rd74;
	cvt.u64.u32 	%rd4, %r27;
	min.u64 	%rd5, %rd3, %rd4;
	setp.eq.s64 	%p1, %rd5, 16;
	@%p1 bra 	$L__BB3_55;
	bra.uni 	$L__BB3_1;

$L__BB3_55:
	cvt.u32.u64 	%r53, %rd2;
	shr.u64 	%rd159, %rd74, 1;
	add.s32 	%r115, %r25, 16;
	ld.shared.u64 	%rd46, [%r115+-16];
	mov.u32 	%r121, 0;
	shr.u32 	%r10, %r53, 1;
	mov.u64 	%rd158, %rd1;
	mov.u64 	%rd167, %rd46;

$L__BB3_56:
	.pragma "nounroll";
	setp.eq.s64 	%p29, %rd167, 0;
	mov.u16 	%rs56, 0;
	mov.u16 	%rs55, %rs56;
	@%p29 bra 	$L__BB3_70;

	add.s32 	%r116, %r25, 16;
	ld.shared.u32 	%r12, [%r116+8];
	shr.u32 	%r13, %r12, 8;
	setp.eq.s32 	%p30, %r13, 0;
	mov.u64 	%rd58, %rd159;
	@%p30 bra 	$L__BB3_62;

	div.u32 	%r54, %r10, %r13;
	cvt.u64.u32 	%rd50, %r54;
	and.b64  	%rd126, %rd159, -4294967296;
	setp.eq.s64 	%p31, %rd126, 0;
	@%p31 bra 	$L__BB3_60;

	div.u64 	%rd161, %rd159, %rd50;
	mul.lo.s64 	%rd127, %rd161, %rd50;
	sub.s64 	%rd162, %rd159, %rd127;
	bra.uni 	$L__BB3_61;

$L__BB3_60:
	cvt.u32.u64 	%r55, %rd50;
	cvt.u32.u64 	%r56, %rd159;
	div.u32 	%r57, %r56, %r55;
	mul.lo.s32 	%r58, %r57, %r55;
	sub.s32 	%r59, %r56, %r58;
	cvt.u64.u32 	%rd161, %r57;
	cvt.u64.u32 	%rd162, %r59;

$L__BB3_61:
	cvt.u64.u32 	%rd128, %r13;
	mul.lo.s64 	%rd129, %rd162, %rd128;
	add.s64 	%rd58, %rd129, %rd161;

$L__BB3_62:
	and.b32  	%r14, %r12, 255;
	setp.eq.s32 	%p32, %r14, 2;
	@%p32 bra 	$L__BB3_69;
	bra.uni 	$L__BB3_63;

$L__BB3_69:
	add.s64 	%rd134, %rd167, %rd58;
	ld.u8 	%rs42, [%rd134];
	// begin inline asm
	cvt.rn.f16.u16 %rs55, %rs42;
	// end inline asm
	bra.uni 	$L__BB3_70;

$L__BB3_63:
	setp.eq.s32 	%p33, %r14, 3;
	@%p33 bra 	$L__BB3_68;
	bra.uni 	$L__BB3_64;

$L__BB3_68:
	shl.b64 	%rd132, %rd58, 1;
	add.s64 	%rd133, %rd167, %rd132;
	ld.u8 	%r66, [%rd133];
	ld.u8 	%r67, [%rd133+1];
	prmt.b32 	%r68, %r67, %r66, 30212;
	cvt.u16.u32 	%rs55, %r68;
	bra.uni 	$L__BB3_70;

$L__BB3_64:
	shl.b64 	%rd130, %rd58, 2;
	add.s64 	%rd59, %rd167, %rd130;
	and.b64  	%rd131, %rd59, 3;
	setp.eq.s64 	%p34, %rd131, 0;
	@%p34 bra 	$L__BB3_66;

	ld.u8 	%r60, [%rd59];
	ld.u8 	%r61, [%rd59+1];
	prmt.b32 	%r62, %r61, %r60, 30212;
	ld.u8 	%r63, [%rd59+2];
	ld.u8 	%r64, [%rd59+3];
	prmt.b32 	%r65, %r64, %r63, 8452;
	prmt.b32 	%r122, %r65, %r62, 4180;
	bra.uni 	$L__BB3_67;

$L__BB3_66:
	ld.u32 	%r122, [%rd59];

$L__BB3_67:
	mov.b32 	%f2, %r122;
	// begin inline asm
	cvt.rn.f16.f32 %rs55, %f2;
	// end inline asm

$L__BB3_70:
	add.s64 	%rd69, %rd159, 1;
	mov.u64 	%rd167, 0;
	@%p29 bra 	$L__BB3_84;

	add.s32 	%r117, %r25, 16;
	ld.shared.u32 	%r18, [%r117+8];
	shr.u32 	%r19, %r18, 8;
	setp.eq.s32 	%p36, %r19, 0;
	@%p36 bra 	$L__BB3_76;

	div.u32 	%r69, %r10, %r19;
	cvt.u64.u32 	%rd61, %r69;
	and.b64  	%rd136, %rd69, -4294967296;
	setp.eq.s64 	%p37, %rd136, 0;
	@%p37 bra 	$L__BB3_74;

	div.u64 	%rd164, %rd69, %rd61;
	mul.lo.s64 	%rd137, %rd164, %rd61;
	sub.s64 	%rd165, %rd69, %rd137;
	bra.uni 	$L__BB3_75;

$L__BB3_74:
	cvt.u32.u64 	%r70, %rd61;
	cvt.u32.u64 	%r71, %rd69;
	div.u32 	%r72, %r71, %r70;
	mul.lo.s32 	%r73, %r72, %r70;
	sub.s32 	%r74, %r71, %r73;
	cvt.u64.u32 	%rd164, %r72;
	cvt.u64.u32 	%rd165, %r74;

$L__BB3_75:
	cvt.u64.u32 	%rd138, %r19;
	mul.lo.s64 	%rd139, %rd165, %rd138;
	add.s64 	%rd69, %rd139, %rd164;

$L__BB3_76:
	and.b32  	%r20, %r18, 255;
	setp.eq.s32 	%p38, %r20, 2;
	@%p38 bra 	$L__BB3_83;
	bra.uni 	$L__BB3_77;

$L__BB3_83:
	add.s64 	%rd144, %rd46, %rd69;
	ld.u8 	%rs46, [%rd144];
	// begin inline asm
	cvt.rn.f16.u16 %rs56, %rs46;
	// end inline asm
	mov.u64 	%rd167, %rd46;
	bra.uni 	$L__BB3_84;

$L__BB3_77:
	setp.eq.s32 	%p39, %r20, 3;
	@%p39 bra 	$L__BB3_82;
	bra.uni 	$L__BB3_78;

$L__BB3_82:
	shl.b64 	%rd142, %rd69, 1;
	add.s64 	%rd143, %rd46, %rd142;
	ld.u8 	%r81, [%rd143];
	ld.u8 	%r82, [%rd143+1];
	prmt.b32 	%r83, %r82, %r81, 30212;
	cvt.u16.u32 	%rs56, %r83;
	mov.u64 	%rd167, %rd46;
	bra.uni 	$L__BB3_84;

$L__BB3_78:
	shl.b64 	%rd140, %rd69, 2;
	add.s64 	%rd70, %rd46, %rd140;
	and.b64  	%rd141, %rd70, 3;
	setp.eq.s64 	%p40, %rd141, 0;
	@%p40 bra 	$L__BB3_80;

	ld.u8 	%r75, [%rd70];
	ld.u8 	%r76, [%rd70+1];
	prmt.b32 	%r77, %r76, %r75, 30212;
	ld.u8 	%r78, [%rd70+2];
	ld.u8 	%r79, [%rd70+3];
	prmt.b32 	%r80, %r79, %r78, 8452;
	prmt.b32 	%r123, %r80, %r77, 4180;
	bra.uni 	$L__BB3_81;

$L__BB3_80:
	ld.u32 	%r123, [%rd70];

$L__BB3_81:
	mov.b32 	%f3, %r123;
	// begin inline asm
	cvt.rn.f16.f32 %rs56, %f3;
	// end inline asm
	mov.u64 	%rd167, %rd46;

$L__BB3_84:
	mov.b32 	%r84, {%rs55, %rs56};
	st.local.u32 	[%rd158], %r84;
	add.s64 	%rd159, %rd159, 2;
	add.s64 	%rd158, %rd158, 4;
	add.s32 	%r121, %r121, 1;
	setp.ne.s32 	%p41, %r121, 4;
	@%p41 bra 	$L__BB3_56;

	ld.local.v4.u32 	{%r85, %r86, %r87, %r88}, [%rd1];
	add.s32 	%r118, %r25, 16;
	ld.shared.u64 	%rd145, [%r118+-8];
	add.s64 	%rd146, %rd145, %rd74;
	st.v4.u32 	[%rd146], {%r85, %r86, %r87, %r88};
	bra.uni 	$L__BB3_86;

$L__BB3_1:
	add.s32 	%r93, %r25, 16;
	ld.shared.u32 	%r30, [%r93+8];
	setp.eq.s32 	%p2, %r30, 0;
	@%p2 bra 	$L__BB3_19;

	setp.lt.u64 	%p3, %rd5, 2;
	@%p3 bra 	$L__BB3_86;

	mov.u64 	%rd148, 1;

$L__BB3_4:
	shr.u64 	%rd18, %rd74, 1;
	add.s32 	%r94, %r25, 16;
	ld.shared.u64 	%rd9, [%r94+-16];
	setp.eq.s64 	%p4, %rd9, 0;
	mov.u16 	%rs47, 0;
	@%p4 bra 	$L__BB3_18;

	add.s32 	%r95, %r25, 16;
	ld.shared.u32 	%r2, [%r95+8];
	shr.u32 	%r3, %r2, 8;
	setp.eq.s32 	%p5, %r3, 0;
	@%p5 bra 	$L__BB3_10;

	add.s32 	%r96, %r25, 16;
	ld.shared.u32 	%r31, [%r96];
	shr.u32 	%r32, %r31, 1;
	div.u32 	%r33, %r32, %r3;
	cvt.u64.u32 	%rd10, %r33;
	and.b64  	%rd78, %rd18, 9223372032559808512;
	setp.eq.s64 	%p6, %rd78, 0;
	@%p6 bra 	$L__BB3_8;

	div.u64 	%rd149, %rd18, %rd10;
	mul.lo.s64 	%rd79, %rd149, %rd10;
	sub.s64 	%rd150, %rd18, %rd79;
	bra.uni 	$L__BB3_9;

$L__BB3_8:
	cvt.u32.u64 	%r34, %rd10;
	cvt.u32.u64 	%r35, %rd18;
	div.u32 	%r36, %r35, %r34;
	mul.lo.s32 	%r37, %r36, %r34;
	sub.s32 	%r38, %r35, %r37;
	cvt.u64.u32 	%rd149, %r36;
	cvt.u64.u32 	%rd150, %r38;

$L__BB3_9:
	cvt.u64.u32 	%rd80, %r3;
	mul.lo.s64 	%rd81, %rd150, %rd80;
	add.s64 	%rd18, %rd81, %rd149;

$L__BB3_10:
	and.b32  	%r4, %r2, 255;
	setp.eq.s32 	%p7, %r4, 2;
	@%p7 bra 	$L__BB3_17;
	bra.uni 	$L__BB3_11;

$L__BB3_17:
	add.s64 	%rd86, %rd9, %rd18;
	ld.u8 	%rs30, [%rd86];
	// begin inline asm
	cvt.rn.f16.u16 %rs47, %rs30;
	// end inline asm
	bra.uni 	$L__BB3_18;

$L__BB3_11:
	setp.eq.s32 	%p8, %r4, 3;
	@%p8 bra 	$L__BB3_16;
	bra.uni 	$L__BB3_12;

$L__BB3_16:
	shl.b64 	%rd84, %rd18, 1;
	add.s64 	%rd85, %rd9, %rd84;
	ld.u8 	%r45, [%rd85];
	ld.u8 	%r46, [%rd85+1];
	prmt.b32 	%r47, %r46, %r45, 30212;
	cvt.u16.u32 	%rs47, %r47;
	bra.uni 	$L__BB3_18;

$L__BB3_12:
	shl.b64 	%rd82, %rd18, 2;
	add.s64 	%rd19, %rd9, %rd82;
	and.b64  	%rd83, %rd19, 3;
	setp.eq.s64 	%p9, %rd83, 0;
	@%p9 bra 	$L__BB3_14;

	ld.u8 	%r39, [%rd19];
	ld.u8 	%r40, [%rd19+1];
	prmt.b32 	%r41, %r40, %r39, 30212;
	ld.u8 	%r42, [%rd19+2];
	ld.u8 	%r43, [%rd19+3];
	prmt.b32 	%r44, %r43, %r42, 8452;
	prmt.b32 	%r119, %r44, %r41, 4180;
	bra.uni 	$L__BB3_15;

$L__BB3_14:
	ld.u32 	%r119, [%rd19];

$L__BB3_15:
	mov.b32 	%f1, %r119;
	// begin inline asm
	cvt.rn.f16.f32 %rs47, %f1;
	// end inline asm

$L__BB3_18:
	add.s32 	%r97, %r25, 16;
	ld.shared.u64 	%rd87, [%r97+-8];
	add.s64 	%rd88, %rd74, %rd87;
	st.u8 	[%rd88], %rs47;
	shr.u16 	%rs31, %rs47, 8;
	st.u8 	[%rd88+1], %rs31;
	add.s64 	%rd74, %rd74, 2;
	add.s64 	%rd148, %rd148, 2;
	setp.lt.u64 	%p10, %rd148, %rd5;
	@%p10 bra 	$L__BB3_4;
	bra.uni 	$L__BB3_86;

$L__BB3_19:
	setp.lt.u64 	%p11, %rd3, %rd4;
	@%p11 bra 	$L__BB3_35;
	bra.uni 	$L__BB3_20;

$L__BB3_35:
	setp.eq.s64 	%p19, %rd5, 0;
	@%p19 bra 	$L__BB3_86;

	add.s64 	%rd103, %rd5, -1;
	and.b64  	%rd27, %rd5, 3;
	setp.lt.u64 	%p20, %rd103, 3;
	mov.u64 	%rd155, 0;
	@%p20 bra 	$L__BB3_50;

	add.s64 	%rd105, %rd74, -1;
	sub.s64 	%rd106, %rd105, %rd2;
	not.b64 	%rd107, %rd4;
	max.u64 	%rd108, %rd106, %rd107;
	add.s64 	%rd109, %rd108, %rd27;
	add.s64 	%rd28, %rd109, 1;
	mov.u64 	%rd155, 0;
	mov.u64 	%rd153, %rd74;

$L__BB3_38:
	add.s32 	%r105, %r25, 16;
	ld.shared.u64 	%rd31, [%r105+-16];
	setp.eq.s64 	%p21, %rd31, 0;
	mov.u16 	%rs50, 0;
	@%p21 bra 	$L__BB3_40;

	add.s64 	%rd110, %rd153, %rd31;
	ld.u8 	%rs50, [%rd110];

$L__BB3_40:
	add.s32 	%r106, %r25, 16;
	ld.shared.u64 	%rd111, [%r106+-8];
	add.s64 	%rd112, %rd153, %rd111;
	st.u8 	[%rd112], %rs50;
	add.s32 	%r107, %r25, 16;
	ld.shared.u64 	%rd32, [%r107+-16];
	setp.eq.s64 	%p22, %rd32, 0;
	@%p22 bra 	$L__BB3_42;

	add.s64 	%rd113, %rd153, %rd32;
	ld.u8 	%rs51, [%rd113+1];
	bra.uni 	$L__BB3_43;

$L__BB3_42:
	mov.u16 	%rs51, 0;

$L__BB3_43:
	add.s32 	%r108, %r25, 16;
	ld.shared.u64 	%rd114, [%r108+-8];
	add.s64 	%rd115, %rd153, %rd114;
	st.u8 	[%rd115+1], %rs51;
	add.s32 	%r109, %r25, 16;
	ld.shared.u64 	%rd33, [%r109+-16];
	setp.eq.s64 	%p23, %rd33, 0;
	@%p23 bra 	$L__BB3_45;

	add.s64 	%rd116, %rd153, %rd33;
	ld.u8 	%rs52, [%rd116+2];
	bra.uni 	$L__BB3_46;

$L__BB3_45:
	mov.u16 	%rs52, 0;

$L__BB3_46:
	add.s32 	%r110, %r25, 16;
	ld.shared.u64 	%rd117, [%r110+-8];
	add.s64 	%rd118, %rd153, %rd117;
	st.u8 	[%rd118+2], %rs52;
	add.s32 	%r111, %r25, 16;
	ld.shared.u64 	%rd34, [%r111+-16];
	setp.eq.s64 	%p24, %rd34, 0;
	@%p24 bra 	$L__BB3_48;

	add.s64 	%rd119, %rd153, %rd34;
	ld.u8 	%rs53, [%rd119+3];
	bra.uni 	$L__BB3_49;

$L__BB3_48:
	mov.u16 	%rs53, 0;

$L__BB3_49:
	add.s32 	%r112, %r25, 16;
	ld.shared.u64 	%rd120, [%r112+-8];
	add.s64 	%rd121, %rd153, %rd120;
	st.u8 	[%rd121+3], %rs53;
	add.s64 	%rd153, %rd153, 4;
	add.s64 	%rd155, %rd155, 4;
	add.s64 	%rd122, %rd28, %rd155;
	setp.ne.s64 	%p25, %rd122, 0;
	@%p25 bra 	$L__BB3_38;

$L__BB3_50:
	setp.eq.s64 	%p26, %rd27, 0;
	@%p26 bra 	$L__BB3_86;

	add.s64 	%rd157, %rd155, %rd74;
	neg.s64 	%rd156, %rd27;

$L__BB3_52:
	.pragma "nounroll";
	add.s32 	%r113, %r25, 16;
	ld.shared.u64 	%rd42, [%r113+-16];
	setp.eq.s64 	%p27, %rd42, 0;
	mov.u16 	%rs54, 0;
	@%p27 bra 	$L__BB3_54;

	add.s64 	%rd123, %rd157, %rd42;
	ld.u8 	%rs54, [%rd123];

$L__BB3_54:
	add.s32 	%r114, %r25, 16;
	ld.shared.u64 	%rd124, [%r114+-8];
	add.s64 	%rd125, %rd157, %rd124;
	st.u8 	[%rd125], %rs54;
	add.s64 	%rd157, %rd157, 1;
	add.s64 	%rd156, %rd156, 1;
	setp.eq.s64 	%p28, %rd156, 0;
	@%p28 bra 	$L__BB3_86;
	bra.uni 	$L__BB3_52;

$L__BB3_20:
	cvt.u32.u64 	%r48, %rd4;
	setp.eq.s32 	%p12, %r48, 8;
	@%p12 bra 	$L__BB3_32;
	bra.uni 	$L__BB3_21;

$L__BB3_32:
	add.s32 	%r103, %r25, 16;
	ld.shared.u64 	%rd24, [%r103+-16];
	setp.eq.s64 	%p18, %rd24, 0;
	mov.u64 	%rd152, 0;
	@%p18 bra 	$L__BB3_34;

	add.s64 	%rd99, %rd24, %rd74;
	ld.u64 	%rd152, [%rd99];

$L__BB3_34:
	add.s32 	%r104, %r25, 16;
	ld.shared.u64 	%rd100, [%r104+-8];
	add.s64 	%rd101, %rd100, %rd74;
	st.u64 	[%rd101], %rd152;
	bra.uni 	$L__BB3_86;

$L__BB3_21:
	setp.eq.s32 	%p13, %r48, 4;
	@%p13 bra 	$L__BB3_29;
	bra.uni 	$L__BB3_22;

$L__BB3_29:
	add.s32 	%r101, %r25, 16;
	ld.shared.u64 	%rd23, [%r101+-16];
	mov.u32 	%r120, 0;
	setp.eq.s64 	%p17, %rd23, 0;
	@%p17 bra 	$L__BB3_31;

	add.s64 	%rd95, %rd23, %rd74;
	ld.u32 	%r120, [%rd95];

$L__BB3_31:
	add.s32 	%r102, %r25, 16;
	ld.shared.u64 	%rd96, [%r102+-8];
	add.s64 	%rd97, %rd96, %rd74;
	st.u32 	[%rd97], %r120;
	bra.uni 	$L__BB3_86;

$L__BB3_22:
	setp.eq.s32 	%p14, %r48, 2;
	add.s32 	%r98, %r25, 16;
	ld.shared.u64 	%rd22, [%r98+-16];
	@%p14 bra 	$L__BB3_26;
	bra.uni 	$L__BB3_23;

$L__BB3_26:
	setp.eq.s64 	%p16, %rd22, 0;
	mov.u16 	%rs49, 0;
	@%p16 bra 	$L__BB3_28;

	add.s64 	%rd92, %rd22, %rd74;
	ld.u16 	%rs49, [%rd92];

$L__BB3_28:
	add.s32 	%r100, %r25, 16;
	ld.shared.u64 	%rd93, [%r100+-8];
	add.s64 	%rd94, %rd93, %rd74;
	st.u16 	[%rd94], %rs49;
	bra.uni 	$L__BB3_86;

$L__BB3_23:
	setp.eq.s64 	%p15, %rd22, 0;
	mov.u16 	%rs48, 0;
	@%p15 bra 	$L__BB3_25;

	add.s64 	%rd89, %rd22, %rd74;
	ld.u8 	%rs48, [%rd89];

$L__BB3_25:
	add.s32 	%r99, %r25, 16;
	ld.shared.u64 	%rd90, [%r99+-8];
	add.s64 	%rd91, %rd90, %rd74;
	st.u8 	[%rd91], %rs48;

$L__BB3_86:
	ret;

}
)ptx";

}  // namespace tessera::device
